// Gemma 3 270M against transformers, token for token: the whole program under mpirun on 1, 2 and 3
// ranks (tests/golden/README.md). Skipped by name where the model was not fetched.
#include <filesystem>

#include "runtime/text/tokenizer.hpp"
#include "runtime/weights/model_file.hpp"
#include "tests/golden/run_generate.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr const char* kModel = TUTTI_GEMMA3;  // made by gemma3.import

std::vector<json> cases() {
  return test::cases_of("tests/golden/gemma3/expected.json", [](const json&) { return true; });
}

class Gemma3 : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kModel)) {
      GTEST_SKIP() << "there is no " << kModel << ": run tests/fetch_data.sh, then gemma3.import";
    }
  }
};

class Gemma3Ranks : public Gemma3 {};

// One KV head, four query heads; the longest prompt is longer than the window.
TEST_P(Gemma3Ranks, GoesOnWithTextsAsTheReference) {
  const std::vector<json> texts = cases();
  const std::vector<json> answers = test::generate(
      kModel, GetParam(), "--ignore-eos --max-tokens 48 " + test::prompt_arguments(texts));
  test::expect_tokens(answers, texts);
  for (std::size_t i = 0; i < answers.size() && i < texts.size(); ++i) {
    EXPECT_EQ(answers[i].at("text"), texts[i].at("text"));
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, Gemma3Ranks, ::testing::Values(1, 2, 3),
                         ::testing::PrintToStringParamName());

TEST_F(Gemma3, PromptsBecomeSentencePiecesIdsAndTextAgain) {
  const ModelFile file(kModel);
  const auto tokenizer = make_tokenizer(file.tokenizer());
  ASSERT_EQ(tokenizer->special().bos, 2);
  EXPECT_TRUE(tokenizer->special().add_bos);
  for (const json& entry : cases()) {
    SCOPED_TRACE(entry.at("name").get<std::string>());
    const auto text = entry.at("prompt").get<std::string>();
    std::vector<TokenId> wanted = entry.at("prompt_ids").get<std::vector<TokenId>>();
    wanted.erase(wanted.begin());  // the beginning of the sequence
    EXPECT_EQ(tokenizer->encode(text, SpecialTokens::as_text), wanted);
    EXPECT_EQ(tokenizer->decode(wanted, false), text);
  }
}

}  // namespace
}  // namespace tutti
