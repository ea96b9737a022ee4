// Mistral's tekken.json: the control tokens have the first ids, the ranks follow.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/runtime/text/small_tiktoken.hpp"

namespace tutti {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::unique_ptr<Tokenizer> tekken(const Json& json, const std::string& config = "{}") {
  return make_tokenizer({{"tekken.json", json.dump()}, {"tokenizer_config.json", config}});
}

std::string refusal_of(const std::string& file) {
  try {
    make_tokenizer({{"tekken.json", file}});
  } catch (const ModelFileError& error) {
    return error.what();
  }
  return "accepted";
}

std::string refusal_of(const Json& json) {
  return refusal_of(json.dump());
}

// The small file with one value in another place.
Json with_value(const std::string& pointer, const Json& value) {
  Json json = tekken_json();
  json[Json::json_pointer(pointer)] = value;
  return json;
}

TEST(Tekken, EncodesByRanksBehindTheControlTokens) {
  const auto t = tekken(tekken_json());
  EXPECT_EQ(t->vocabulary_size(), 264);
  // Each id is its rank and 3. The pattern cuts "ab" and " abc"; in the latter ab is joined before
  // bc and " a", and then abc.
  EXPECT_EQ(encode(*t, "ab abc"), (Ids{259, 35, 261}));
  EXPECT_EQ(encode(*t, "b a"), (Ids{101, 262}));
  EXPECT_EQ(encode(*t, "é"), (Ids{263}));
  EXPECT_EQ(encode(*t, "e\xCC\x81"), (Ids{104, 207, 132})) << "no normalisation";
  EXPECT_EQ(encode(*t, "<s>ab</s>"), (Ids{1, 259, 2}));
  EXPECT_EQ(encode(*t, "<s>", SpecialTokens::as_text), (Ids{63, 118, 65}));
  for (const std::string text : {"", "ab abc", "é €\n\n  abc", "</s>"}) {
    EXPECT_EQ(t->decode(encode(*t, text, SpecialTokens::as_text), true), text);
  }
  EXPECT_EQ(t->kind(), "tekken (tekken.json)");
}

TEST(Tekken, SaysWhichIdsBeginAndEnd) {
  const auto t = tekken(tekken_json());
  EXPECT_EQ(t->special().unk, 0);
  EXPECT_EQ(t->special().bos, 1);
  EXPECT_EQ(t->special().eos, (Ids{2}));
  EXPECT_EQ(t->special().pad, std::nullopt);
  EXPECT_TRUE(t->special().add_bos);
}

TEST(Tekken, WithoutTheNamesNothingBeginsOrEnds) {
  Json json = with_value("/special_tokens/1/token_str", "[BEGIN]");
  json["special_tokens"].erase(2);
  const auto t = tekken(json);
  EXPECT_EQ(t->special().bos, std::nullopt);
  EXPECT_FALSE(t->special().add_bos);
  EXPECT_EQ(t->special().eos, Ids{});
  EXPECT_EQ(t->id_of("<SPECIAL_2>"), 2) << "an id without a name has one all the same";
  const auto named = tekken(json, R"({"bos_token": "[BEGIN]", "eos_token": "<SPECIAL_2>"})");
  EXPECT_EQ(named->special().bos, 1);
  EXPECT_EQ(named->special().eos, (Ids{2}));
}

// The model has fewer rows than the file has ranks.
TEST(Tekken, RanksBeyondTheModelsSizeAreLeftOut) {
  const auto t = tekken(with_value("/config/default_vocab_size", 3 + 257));
  EXPECT_EQ(t->vocabulary_size(), 260);
  EXPECT_EQ(encode(*t, "abc"), (Ids{259, 102})) << "neither bc nor abc are there";
}

TEST(Tekken, AFileOfV7OrOlderBringsNoListOfControlTokens) {
  Json json = tekken_json();
  json.erase("special_tokens");
  json["config"]["version"] = "v7";
  json["config"]["default_num_special_tokens"] = 25;
  json["config"]["default_vocab_size"] = 25 + 261;
  const auto t = tekken(json);
  EXPECT_EQ(t->id_of("[INST]"), 3);
  EXPECT_EQ(t->id_of("[TOOL_CONTENT]"), 19);
  EXPECT_EQ(t->id_of("<SPECIAL_24>"), 24);
  EXPECT_EQ(t->special().pad, 11);
  EXPECT_EQ(encode(*t, "[INST]ab"), (Ids{3, 281}));
  json["config"]["version"] = "v11";
  EXPECT_EQ(refusal_of(json),
            "tekken.json: \"special_tokens\" wants an array in a file of version v11, found null");
  json["config"]["version"] = "v3";
  json["config"]["default_num_special_tokens"] = 10;
  json["config"]["default_vocab_size"] = 10 + 261;
  EXPECT_EQ(refusal_of(json),
            "tekken.json: special_tokens: '[IMG]' has the rank 10, wanted one below 10");
}

TEST(Tekken, WhatIsMissingOrOfAnotherTypeIsNamed) {
  EXPECT_THAT(refusal_of(std::string("{")), StartsWith("tekken.json: not JSON: "));
  EXPECT_EQ(refusal_of(Json::array()), "tekken.json: wants an object with \"config\", found array");
  EXPECT_EQ(refusal_of(Json::object()),
            "tekken.json: config: wants an object with \"default_vocab_size\", found null");
  EXPECT_EQ(refusal_of(with_value("/vocab", nullptr)),
            "tekken.json: \"vocab\" wants an array, found null");
  EXPECT_EQ(refusal_of(with_value("/vocab/5", 7)),
            "tekken.json: vocab: wants an object with \"token_bytes\", found number");
  EXPECT_EQ(refusal_of(with_value("/vocab/5/token_bytes", 7)),
            "tekken.json: vocab: \"token_bytes\" wants a string, found number");
  EXPECT_EQ(refusal_of(with_value("/config/pattern", nullptr)),
            "tekken.json: config: \"pattern\" wants a string, found null");
  EXPECT_EQ(refusal_of(with_value("/special_tokens", "<s>")),
            "tekken.json: \"special_tokens\" wants an array, found string");
  EXPECT_EQ(refusal_of(with_value("/special_tokens/0/token_str", nullptr)),
            "tekken.json: special_tokens: \"token_str\" wants a string, found null");
  EXPECT_THAT(refusal_of(with_value("/config/pattern", "(")), StartsWith("tekken.json: pattern: "));
}

TEST(Tekken, SizesOutOfRangeAreRefused) {
  for (const Json& size : {Json(nullptr), Json(-1), Json(2097153)}) {
    EXPECT_EQ(refusal_of(with_value("/config/default_vocab_size", size)),
              "tekken.json: config: \"default_vocab_size\" wants a number up to 2097152");
  }
  EXPECT_EQ(refusal_of(with_value("/config/default_num_special_tokens", 4.5)),
            "tekken.json: config: \"default_num_special_tokens\" wants a whole number, found "
            "number");
  EXPECT_EQ(refusal_of(with_value("/config/default_vocab_size", 265)),
            "tekken.json: vocab has 261 ranks, config wants 262 beside 3 special tokens");
  EXPECT_EQ(refusal_of(with_value("/config/default_vocab_size", 2)),
            "tekken.json: config: \"default_vocab_size\" wants 3 or more, as many as there are "
            "special tokens, found 2");
  EXPECT_EQ(refusal_of(with_value("/config/default_vocab_size", 3 + 128)),
            "tekken.json: the byte 0x80 has no token");
}

TEST(Tekken, RanksAreThereOnceAndInOrder) {
  EXPECT_EQ(refusal_of(with_value("/vocab/5/rank", 4)),
            "tekken.json: wants the ranks in order, found 4 after 4");
  EXPECT_EQ(refusal_of(with_value("/vocab/5/rank", nullptr)),
            "tekken.json: vocab: a token id wants a whole number below 2097152, found null");
  EXPECT_EQ(refusal_of(with_value("/vocab/5/rank", 2097152)),
            "tekken.json: vocab: a token id wants a whole number below 2097152, found 2097152");
  EXPECT_EQ(refusal_of(with_value("/vocab/258/token_bytes", "YWI=")),
            "tekken.json: rank 258: the token is there twice");
}

TEST(Tekken, DamagedBase64IsRefused) {
  for (const char* damaged : {"", "YW", "YWJ", "Y===", "====", "YWI=YWI=", "YWJj====", "Y*I="}) {
    EXPECT_EQ(refusal_of(with_value("/vocab/256/token_bytes", damaged)),
              fmt::format("tekken.json: rank 256: wants a token in base64, found '{}'", damaged));
  }
}

TEST(Tekken, AControlTokenIsThereOnceAndWithinTheirNumber) {
  EXPECT_EQ(refusal_of(with_value("/special_tokens/2/rank", 3)),
            "tekken.json: special_tokens: '</s>' has the rank 3, wanted one below 3");
  EXPECT_EQ(refusal_of(with_value("/special_tokens/2/rank", 1)),
            "tekken.json: special_tokens: '</s>' has the rank 1, which '<s>' has");
  EXPECT_EQ(refusal_of(with_value("/special_tokens/2/token_str", "<s>")),
            "tekken.json: special_tokens: '<s>' has the ranks 1 and 2");
  EXPECT_THAT(refusal_of(with_value("/special_tokens/2/rank", -1)),
              HasSubstr("a whole number below 2097152, found -1"));
}

}  // namespace
}  // namespace tutti
