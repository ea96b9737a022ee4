// Vocabularies of lines "base64 rank". A control token's id follows the ranks'.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/runtime/text/small_tiktoken.hpp"

namespace tutti {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr TokenId kRanks = 261;  // of small_ranks()

std::unique_ptr<Tokenizer> qwen(const std::string& file, const std::string& config = "{}") {
  return make_tokenizer({{"qwen.tiktoken", file}, {"tokenizer_config.json", config}});
}

std::string refusal(const TokenizerAssets& assets) {
  try {
    make_tokenizer(assets);
  } catch (const ModelFileError& error) {
    return error.what();
  }
  return "accepted";
}

std::string refusal_of(const std::string& file) {
  return refusal({{"qwen.tiktoken", file}});
}

// The small ranks with one line in the place of line `number`, from 1.
std::string with_line(std::size_t number, const std::string& line) {
  std::string file;
  const auto tokens = small_ranks();
  for (std::size_t rank = 0; rank < tokens.size(); ++rank) {
    file += rank + 1 == number ? line : fmt::format("{} {}", base64(tokens[rank]), rank);
    file += '\n';
  }
  return file;
}

// Llama 3's number of ranks: the small ones, and three bytes each after them.
std::vector<std::string> llama3_ranks() {
  auto tokens = small_ranks();
  for (unsigned i = 0; tokens.size() < 128000; ++i) {
    tokens.push_back({'\x01', static_cast<char>(i / 256), static_cast<char>(i % 256),
                      static_cast<char>(i / 65536)});
  }
  return tokens;
}

TEST(Tiktoken, EncodesByRanksAndDecodesWhatItEncoded) {
  const auto t = qwen(tiktoken_file(small_ranks()));
  // Qwen's pattern cuts "ab" and " abc". In the latter ab (256) comes before bc (257) and " a"
  // (259), and with c it is abc (258).
  EXPECT_EQ(encode(*t, "ab abc"), (Ids{256, 32, 258}));
  EXPECT_EQ(encode(*t, "b a"), (Ids{98, 259}));
  EXPECT_EQ(encode(*t, "é1"), (Ids{260, 49}));
  EXPECT_EQ(encode(*t, "\xE2\x82\xAC"), (Ids{0xE2, 0x82, 0xAC})) << "bytes where no token is";
  for (const std::string text : {"", "ab abc", "é1 €\n\n  abc", "<|im_start|>"}) {
    EXPECT_EQ(t->decode(encode(*t, text, SpecialTokens::as_text), true), text);
  }
  EXPECT_EQ(t->kind(), "tiktoken (qwen.tiktoken)");
}

TEST(Tiktoken, QwenNormalizesToNfc) {
  const auto t = qwen(tiktoken_file(small_ranks()));
  EXPECT_EQ(encode(*t, "e\xCC\x81"), (Ids{260})) << "e and a combining acute are é";
}

TEST(Tiktoken, QwensControlTokensFollowTheRanks) {
  const auto t = qwen(tiktoken_file(small_ranks()));
  EXPECT_EQ(t->vocabulary_size(), kRanks + 208);
  EXPECT_EQ(encode(*t, "<|im_start|>ab<|im_end|>"), (Ids{kRanks + 1, 256, kRanks + 2}));
  EXPECT_EQ(t->id_of("<|extra_0|>"), kRanks + 3);
  EXPECT_EQ(t->id_of("<|extra_204|>"), kRanks + 207);
  EXPECT_EQ(encode(*t, "<|im_end|>", SpecialTokens::as_text).size(), 10U);
  EXPECT_FALSE(t->special().add_bos);
  EXPECT_EQ(t->special().eos, (Ids{kRanks, kRanks + 2}));
}

TEST(Tiktoken, EmptyLinesAndLineEndsOfWindowsAreNothing) {
  std::string file = tiktoken_file(small_ranks());
  for (std::size_t at = 0; (at = file.find('\n', at)) != std::string::npos; at += 3) {
    file.replace(at, 1, "\r\n\n");
  }
  EXPECT_EQ(encode(*qwen(file), "ab abc"), (Ids{256, 32, 258}));
  std::string open_end = tiktoken_file(small_ranks());
  open_end.pop_back();
  EXPECT_EQ(qwen(open_end)->vocabulary_size(), kRanks + 208);
}

TEST(Tiktoken, LlamasNumberOfRanksBringsItsControlTokens) {
  const auto t = make_tokenizer({{"tokenizer.model", tiktoken_file(llama3_ranks())}});
  EXPECT_EQ(t->vocabulary_size(), 128256);
  EXPECT_EQ(t->id_of("<|begin_of_text|>"), 128000);
  EXPECT_EQ(t->id_of("<|end_of_text|>"), 128001);
  EXPECT_EQ(t->id_of("<|start_header_id|>"), 128006);
  EXPECT_EQ(t->id_of("<|eot_id|>"), 128009);
  EXPECT_EQ(t->id_of("<|reserved_special_token_2|>"), 128012);
  EXPECT_EQ(t->id_of("<|reserved_special_token_245|>"), 128255);
  EXPECT_EQ(t->special().bos, 128000);
  EXPECT_TRUE(t->special().add_bos);
  EXPECT_EQ(t->special().eos, (Ids{128001, 128009, 128008})) << "<|eot_id|> and <|eom_id|> too";
  EXPECT_EQ(encode(*t, "<|begin_of_text|>ab abc<|eot_id|>"), (Ids{128000, 256, 32, 258, 128009}));
  EXPECT_EQ(t->kind(), "tiktoken (tokenizer.model)");
}

TEST(Tiktoken, TheConfigsNameOfAnIdCountsBeforeTheUsualOne) {
  const auto t = qwen(tiktoken_file(small_ranks()),
                      R"({"added_tokens_decoder": {
                          "264": {"content": "<tool>", "special": false},
                          "900": {"content": "<|im_end|>", "special": true}}})");
  EXPECT_EQ(encode(*t, "ab<tool>", SpecialTokens::as_text), (Ids{256, 264}));
  EXPECT_EQ(t->id_of("<|extra_0|>"), std::nullopt) << "264 was its id";
  EXPECT_EQ(encode(*t, "<|im_end|>"), (Ids{900})) << "moved";
  EXPECT_EQ(t->vocabulary_size(), 901);
}

// It would have taken the usual name away and put nothing in its place.
TEST(Tiktoken, ATokenOfTheConfigWithARanksIdIsRefused) {
  const std::string file = tiktoken_file(small_ranks());
  const auto config = [&](const std::string& decoder) {
    return refusal({{"qwen.tiktoken", file},
                    {"tokenizer_config.json", R"({"added_tokens_decoder": )" + decoder + "}"}});
  };
  EXPECT_EQ(config(R"({"97": {"content": "<|im_end|>"}})"),
            "tokenizer_config.json: added_tokens_decoder: '<|im_end|>' has the id 97, wanted one "
            "from 261 on: the ranks have those below");
  EXPECT_THAT(config(R"({"no": {"content": "x"}})"), StartsWith("tokenizer_config.json: "));
  EXPECT_THAT(config(R"({"2097152": {"content": "x"}})"),
              HasSubstr("wants a whole number below 2097152, found 2097152"));
  EXPECT_THAT(config(R"({"300": {"content": 7}})"), HasSubstr("\"content\" wants a string"));
}

TEST(Tiktoken, ALineThatIsNoneIsNamedByItsNumber) {
  EXPECT_EQ(refusal_of(with_line(3, "Ag== two")),
            "qwen.tiktoken: line 3 wants \"base64 rank\", found 'Ag== two'");
  for (const char* line : {"Ag==", "Ag== ", " 2", "Ag== 2 ", "Ag==  2", "Ag== -2", "Ag== 2.0",
                           "Ag== 0x2", "Ag==\t2", "Ag== 99999999999999999999"}) {
    EXPECT_THAT(refusal_of(with_line(3, line)), StartsWith("qwen.tiktoken: ")) << line;
  }
  // A long line is cut in the message.
  EXPECT_EQ(refusal_of(with_line(261, std::string(500, 'x'))),
            "qwen.tiktoken: line 261 wants \"base64 rank\", found '" + std::string(40, 'x') + "'");
}

TEST(Tiktoken, ARankOutOfRangeIsRefused) {
  EXPECT_THAT(refusal_of(with_line(3, "Ag== 2097152")), HasSubstr("line 3 wants"));
  EXPECT_THAT(refusal_of(with_line(3, "Ag== -1")), HasSubstr("line 3 wants"));
}

TEST(Tiktoken, DamagedBase64IsRefused) {
  EXPECT_EQ(refusal_of(with_line(3, "A!== 2")),
            "qwen.tiktoken: rank 2: wants a token in base64, found 'A!=='");
  for (const char* damaged : {"Ag", "Ag=", "A===", "====", "Ag==Ag==", "AgAg====", "Ag=A", "Ag-_",
                              "Ah==", "AgB=", "=Ag=", "\xC3\xA9=="}) {
    EXPECT_EQ(
        refusal_of(with_line(3, std::string(damaged) + " 2")),
        std::string("qwen.tiktoken: rank 2: wants a token in base64, found '") + damaged + "'");
  }
}

TEST(Tiktoken, RanksAreThereOnceAndInOrder) {
  EXPECT_EQ(refusal_of(with_line(3, "Ag== 1")),
            "qwen.tiktoken: wants the ranks in order, found 1 after 1");
  EXPECT_EQ(refusal_of(with_line(3, "Ag== 3")),
            "qwen.tiktoken: wants the ranks in order, found 3 after 1");
  EXPECT_EQ(refusal_of(with_line(1, "AA== 1")),
            "qwen.tiktoken: wants the ranks to begin with 0, found 1");
  // Rank 256 spells what rank 97 is.
  EXPECT_EQ(refusal_of(with_line(257, "YQ== 256")),
            "qwen.tiktoken: rank 256: the token is there twice");
}

TEST(Tiktoken, AByteWithoutATokenIsNamed) {
  EXPECT_EQ(refusal_of(with_line(128, "enp6 127")), "qwen.tiktoken: the byte 0x7f has no token");
  EXPECT_EQ(refusal_of(""), "qwen.tiktoken: the byte 0x00 has no token");
}

TEST(Tiktoken, AVocabularyWhosePatternIsNotKnownIsRefused) {
  const std::string file = tiktoken_file(small_ranks());
  EXPECT_THAT(refusal({{"tokenizer.model", file}}),
              AllOf(StartsWith("tokenizer.model: a tiktoken vocabulary of 261 ranks is not known"),
                    HasSubstr("of 128000"), HasSubstr("tokenizer.json")));
  EXPECT_THAT(refusal({{"cl100k_base.tiktoken", file}}),
              AllOf(StartsWith("cl100k_base.tiktoken: which pattern"), HasSubstr("qwen.tiktoken")));
}

}  // namespace
}  // namespace tutti
