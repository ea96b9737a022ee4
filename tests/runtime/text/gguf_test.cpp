// Tokenizers out of GGUF metadata, and the ids that end an answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "runtime/text/gguf_pre_tokenizers.hpp"
#include "runtime/text/pre_tokenizer.hpp"
#include "tests/runtime/text/small_tokenizer.hpp"

namespace tutti {
namespace {

using testing::ElementsAre;

Json key(const std::string& name, const Json& value) {
  Json json;
  json["tokenizer.ggml." + name] = value;
  return json;
}

std::unique_ptr<Tokenizer> from_gguf(const Json& json, TokenizerAssets assets = {}) {
  assets["gguf.json"] = json.dump();
  return make_tokenizer(assets);
}

Json byte_level() {
  Json json = key("model", "gpt2");
  json.update(key("pre", "smollm"));
  json.update(key("tokens", {"<|im_end|>", "a", "b", "Ġ", "ĠĠ", "1", "2", "ab", "Ġ1", "<t>"}));
  json.update(key("token_type", {3, 1, 1, 1, 1, 1, 1, 1, 1, 4}));
  json.update(key("merges", {"Ġ Ġ", "a b", "Ġ 1"}));
  json.update(key("eos_token_id", 0));
  return json;
}

// "▁ab" scores best, then "ab", "▁a"; "<unk>", "<s>", "</s>" and the byte 0xC3 follow the letters.
Json by_scores() {
  Json json = key("model", "llama");
  json.update(key("tokens",
                  {"<unk>", "<s>", "</s>", "<0xC3>", "<0xA9>", "▁", "a", "b", "▁a", "ab", "▁ab"}));
  json.update(key("token_type", {2, 3, 3, 6, 6, 1, 1, 1, 1, 1, 1}));
  json.update(key("scores", {0, 0, 0, 0, 0, -9, -9, -9, -3, -2, -1}));
  json.update(key("bos_token_id", 1));
  json.update(key("eos_token_id", 2));
  return json;
}

TEST(Gguf, SmollmSplitsEveryDigitBeforeTheWords) {
  const auto t = from_gguf(byte_level());
  // "ĠĠ" and "1", not "Ġ" and "Ġ1": the digit is cut off before GPT-2's pattern sees the spaces.
  EXPECT_EQ(encode(*t, "ab  12"), (Ids{7, 4, 5, 6}));
  Json gpt2 = byte_level();
  gpt2.update(key("pre", "gpt-2"));
  EXPECT_EQ(encode(*from_gguf(gpt2), "ab  12"), (Ids{7, 3, 8, 6}));
}

TEST(Gguf, AFileThatDoesNotSayHowTextIsCutIsRefused) {
  Json json = byte_level();
  json.erase("tokenizer.ggml.pre");
  try {
    from_gguf(json);
    ADD_FAILURE() << "it was accepted";
  } catch (const ModelFileError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("tokenizer.ggml.pre is missing"));
  }
}

// Of the patterns of GGUF's names, what the models' own pre-tokenizers make in `tokenizers` 0.23.3.
std::vector<std::string> pieces(std::string_view name, const std::string& text) {
  std::vector<text::Piece> found = {{text, true}};
  text::make_byte_level_pre_tokenizer(text::gguf_pre_tokenizer(name).patterns, "test")
      ->apply(found);
  std::vector<std::string> out;
  for (const text::Piece& piece : found) out.push_back(piece.text);
  return out;
}

TEST(Gguf, FalconCutsPunctuationAndThreeDigitsOff) {
  EXPECT_THAT(pieces("falcon", "It's $+3.5k, 12345 or 123?"),
              ElementsAre("It", "'", "s", "Ġ", "$+", "3", ".", "5", "k", ",", "Ġ", "123", "45",
                          "Ġor", "Ġ", "123", "?"));
  EXPECT_THAT(pieces("falcon", "a1234567b x==y`z`"),
              ElementsAre("a", "123", "456", "7", "b", "Ġx", "==", "y", "`", "z", "`"));
  EXPECT_THAT(pieces("falcon", "don't!!! <<>>\r\n\r\n  end "),
              ElementsAre("don", "'", "t", "!!!", "Ġ", "<<>>", "čĊčĊĠ", "Ġend", "Ġ"));
}

TEST(Gguf, DeepSeekCoderCutsEveryDigitAndLineEnd) {
  EXPECT_THAT(pieces("deepseek-coder", "  1234 漢字 تجربة٣"),
              ElementsAre("ĠĠ", "1", "2", "3", "4", "Ġ", "æ¼¢åŃĹ", "ĠØªØ¬Ø±Ø¨Ø©", "Ù£"));
  EXPECT_THAT(pieces("deepseek-coder", "don't!!! <<>>\r\n  end "),
              ElementsAre("don", "'", "t", "!!!", "Ġ<<>>", "č", "Ċ", "Ġ", "Ġend", "Ġ"));
}

TEST(Gguf, SeedCoderKeepsLineEndsApartFromSigns) {
  EXPECT_THAT(pieces("seed-coder", "don't!!!\n x = 12"),
              ElementsAre("don", "'t", "!!!", "Ċ", "Ġx", "Ġ=", "Ġ", "1", "2"));
}

TEST(Gguf, SomeVocabulariesComposeCharactersFirst) {
  Json json = byte_level();
  json["tokenizer.ggml.tokens"].push_back("Ã");  // é is Ã© in the byte-level alphabet
  json["tokenizer.ggml.tokens"].push_back("©");
  json["tokenizer.ggml.token_type"].push_back(1);
  json["tokenizer.ggml.token_type"].push_back(1);
  const std::string decomposed = "e\u0301";
  for (const char* name : {"qwen2", "mpt", "olmo"}) {
    json.update(key("pre", name));
    EXPECT_EQ(encode(*from_gguf(json), decomposed), (Ids{10, 11})) << name;
  }
  json.update(key("pre", "gpt-2"));
  EXPECT_EQ(encode(*from_gguf(json), decomposed), Ids{});  // no such letters
}

TEST(Gguf, ControlTokensAreSpecialAndUserDefinedOnesAreNot) {
  const auto t = from_gguf(byte_level());
  EXPECT_EQ(encode(*t, "a<|im_end|><t>"), (Ids{1, 0, 9}));
  EXPECT_EQ(encode(*t, "a<t>", SpecialTokens::as_text), (Ids{1, 9}));
  EXPECT_TRUE(t->is_special(0));
  EXPECT_FALSE(t->is_special(9));
  EXPECT_EQ(t->decode(Ids{1, 0, 9}, true), "a<t>");
  EXPECT_EQ(t->token_text(4), "ĠĠ");
  EXPECT_FALSE(t->special().add_bos);
}

TEST(Gguf, ScoresDecideWhichNeighboursJoin) {
  const auto t = from_gguf(by_scores());
  EXPECT_EQ(encode(*t, "ab"), (Ids{10}));
  EXPECT_EQ(encode(*t, "aé b"), (Ids{8, 3, 4, 5, 7}));
  EXPECT_EQ(encode(*t, "b漢"), (Ids{5, 7, 0}));
  EXPECT_EQ(encode(*t, "<s>ab</s>"), (Ids{1, 10, 2}));
  EXPECT_EQ(t->decode(Ids{10, 3, 4, 5, 7}, true), "abé b");
  EXPECT_EQ(*t->special().bos, 1);
  EXPECT_TRUE(t->special().add_bos);
  Json bare = by_scores();
  bare.update(key("add_space_prefix", false));
  EXPECT_EQ(encode(*from_gguf(bare), "ab"), (Ids{9}));
}

TEST(Gguf, RefusesByNameWhatItDoesNotUnderstand) {
  const auto refusal = [](const Json& json) {
    try {
      from_gguf(json);
    } catch (const ModelFileError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  Json json = byte_level();
  json.update(key("pre", "no-such"));
  EXPECT_THAT(refusal(json), testing::HasSubstr("no-such"));
  json = byte_level();
  json.update(key("model", "rwkv"));
  EXPECT_THAT(refusal(json), testing::HasSubstr("rwkv"));
  json = by_scores();
  json.update(key("scores", Json::array({1.0})));
  EXPECT_THAT(refusal(json), testing::HasSubstr("11"));
  json = byte_level();
  json.update(key("bos_token_id", 10));
  EXPECT_THAT(refusal(json), testing::HasSubstr("bos_token_id"));
  EXPECT_THROW(make_tokenizer({}), ModelFileError);
}

TEST(SpecialIds, EosIsEveryIdThatAFileNames) {
  Json json = by_scores();
  json.update(key("eot_token_id", 10));
  const TokenizerAssets assets = {{"generation_config.json", R"({"eos_token_id": [2, 9]})"},
                                  {"tokenizer_config.json", R"({"eos_token": {"content": "ab"}})"}};
  EXPECT_THAT(from_gguf(json, assets)->special().eos, ElementsAre(9, 2, 10));
  EXPECT_THAT(
      from_gguf(json, {{"generation_config.json", R"({"eos_token_id": 8})"}})->special().eos,
      ElementsAre(2, 10, 8));
}

TEST(SpecialIds, TheTurnEndOfAKnownFormatEndsAnAnswerWhereNothingElseSaysSo) {
  Json json = byte_level();
  json.erase("tokenizer.ggml.eos_token_id");
  EXPECT_THAT(from_gguf(json)->special().eos, ElementsAre(0));
}

TEST(SpecialIds, TheTemplateSaysWhetherBosIsAdded) {
  const Json start = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const Json post = {{"type", "TemplateProcessing"}, {"single", {start, text}}};
  const Json tokens = Json::array({added(10, "<s>", {{"special", true}})});
  const std::string json =
      tokenizer_json(Json::object(), {{"post_processor", post}, {"added_tokens", tokens}});
  const auto t = make_tokenizer({{"tokenizer.json", json}});
  EXPECT_TRUE(t->special().add_bos);
  EXPECT_FALSE(t->special().add_eos);
  EXPECT_EQ(*t->special().bos, 10);
  const auto off = make_tokenizer(
      {{"tokenizer.json", json}, {"tokenizer_config.json", R"({"add_bos_token": false})"}});
  EXPECT_FALSE(off->special().add_bos);
}

}  // namespace
}  // namespace tutti
