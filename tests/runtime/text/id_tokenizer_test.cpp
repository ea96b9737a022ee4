#include "runtime/text/id_tokenizer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "runtime/text/detokenizer.hpp"

namespace tutti {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(IdTokenizer, NumbersAreIdsAndIdsAreNumbers) {
  const IdTokenizer tokenizer(1000);
  EXPECT_THAT(tokenizer.encode(" 12 7\n999 ", SpecialTokens::as_text), ElementsAre(12, 7, 999));
  EXPECT_THAT(tokenizer.encode("", SpecialTokens::parsed), ElementsAre());
  const std::vector<TokenId> ids = {12, 7, 999};
  EXPECT_EQ(tokenizer.decode(ids, true), " 12 7 999");
  Detokenizer stream(tokenizer, true);
  std::string text;
  for (const TokenId id : ids) {
    text += stream.push(id);
  }
  EXPECT_EQ(text + stream.finish(), " 12 7 999");
}

TEST(IdTokenizer, AnythingElseIsRefusedByName) {
  const IdTokenizer tokenizer(1000);
  for (const char* text : {"1 two 3", "1000", "-1", "1.5", "99999999999999999999"}) {
    EXPECT_THAT([&] { tokenizer.encode(text, SpecialTokens::as_text); },
                ThrowsMessage<ConfigError>(HasSubstr("token ids in [0, 1000)")))
        << text;
  }
}

}  // namespace
}  // namespace tutti
