// Expected ids are those of the `tokenizers` package, 0.23.3, for the same vocabularies.
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/runtime/text/small_tokenizer.hpp"

namespace tutti {
namespace {

Json more_letters() {
  return with(letters(),
              {{"ab", 10}, {"bc", 11}, {"abc", 12}, {"cd", 13}, {"abcd", 14}, {"aa", 15}});
}

TEST(Bpe, JoinsTheLowestRankFirstAndOfEqualsTheLeftmost) {
  const auto t =
      make_small({{"vocab", more_letters()}, {"merges", {"b c", "a b", "c d", "a a", "ab c"}}});
  EXPECT_EQ(encode(*t, "abc"), (Ids{0, 11}));
  EXPECT_EQ(encode(*t, "abcd"), (Ids{0, 11, 3}));
  EXPECT_EQ(encode(*t, "aaa"), (Ids{15, 0}));
  EXPECT_EQ(encode(*t, "aaaa"), (Ids{15, 15}));
}

TEST(Bpe, IgnoreMergesTakesAWholePieceOfTheVocabulary) {
  const Json merges = Json::array({Json::array({"a", "b"}), Json::array({"ab", "c"})});
  const auto t =
      make_small({{"vocab", more_letters()}, {"merges", merges}, {"ignore_merges", true}});
  EXPECT_EQ(encode(*t, "abcd"), (Ids{14}));
  EXPECT_EQ(encode(*t, "abcda"), (Ids{12, 3, 0}));
  const auto plain = make_small({{"vocab", more_letters()}, {"merges", merges}});
  EXPECT_EQ(encode(*plain, "abcd"), (Ids{12, 3}));
}

Json byte_vocabulary() {
  Json vocab = more_letters();
  constexpr const char* kHex = "0123456789ABCDEF";
  for (int b = 0; b < 256; ++b) {
    vocab[std::string("<0x") + kHex[b / 16] + kHex[b % 16] + ">"] = 20 + b;
  }
  vocab["<unk>"] = 300;
  return vocab;
}

TEST(Bpe, ByteFallbackSpellsWhatTheVocabularyHasNot) {
  const auto t = make_small({{"vocab", byte_vocabulary()},
                             {"merges", Json::array({"a b"})},
                             {"unk_token", "<unk>"},
                             {"byte_fallback", true}});
  EXPECT_EQ(encode(*t, "aé你b"), (Ids{0, 215, 189, 248, 209, 180, 1}));
}

TEST(Bpe, UnknownCharactersFuseOnlyWhenTold) {
  const Json vocab = with(letters(), {{"<unk>", 20}});
  const auto fused = make_small({{"vocab", vocab}, {"unk_token", "<unk>"}, {"fuse_unk", true}});
  EXPECT_EQ(encode(*fused, "axyzb"), (Ids{0, 20, 1}));
  const auto single = make_small({{"vocab", vocab}, {"unk_token", "<unk>"}});
  EXPECT_EQ(encode(*single, "axyzb"), (Ids{0, 20, 20, 20, 1}));
  EXPECT_EQ(encode(*make_small(), "axyzb"), (Ids{0, 1}));
}

TEST(Bpe, ALongPieceIsMergedInOneGo) {
  const auto t = make_small({{"vocab", more_letters()}, {"merges", Json::array({"a a"})}});
  EXPECT_EQ(encode(*t, std::string(200001, 'a')).size(), 100001U);
}

void expect_refused(const std::string& json, const std::string& what) {
  try {
    make_tokenizer({{"tokenizer.json", json}});
    FAIL() << "accepted: " << json.substr(0, 200);
  } catch (const ModelFileError& error) {
    EXPECT_NE(std::string(error.what()).find(what), std::string::npos) << error.what();
  }
}

TEST(TokenizerJson, RefusesByNameWhatItDoesNotUnderstand) {
  const Json none = Json::object();
  expect_refused(tokenizer_json({{"type", "WordPiece"}}), "WordPiece");
  expect_refused(tokenizer_json({{"type", "WordPiece"}}), "WordPiece");
  expect_refused(tokenizer_json(none, {{"normalizer", {{"type", "Nmt"}}}}), "Nmt");
  expect_refused(tokenizer_json(none, {{"pre_tokenizer", {{"type", "UnicodeScripts"}}}}),
                 "UnicodeScripts");
  expect_refused(tokenizer_json(none, {{"decoder", {{"type", "CTC"}}}}), "CTC");
  expect_refused(tokenizer_json(none, {{"post_processor", {{"type", "Odd"}}}}), "Odd");
}

TEST(TokenizerJson, RefusesWhatIsBroken) {
  expect_refused("{", "not JSON");
  expect_refused("[]", "found array");
  expect_refused("{}", "model");
  expect_refused(tokenizer_json({{"vocab", {{"a", -1}}}}), "token id");
  expect_refused(tokenizer_json({{"vocab", {{"a", 4000000000U}}}}), "token id");
  expect_refused(tokenizer_json({{"merges", Json::array({"a z"})}}), "'z'");
  expect_refused(tokenizer_json({{"merges", Json::array({"a b"})}}), "'ab'");
  expect_refused(tokenizer_json({{"merges", Json::array({"a"})}}), "merge");
  expect_refused(tokenizer_json({{"unk_token", "?"}}), "'?'");
  const Json split = {{"type", "Split"}, {"pattern", {{"Regex", "(a"}}}, {"behavior", "Isolated"}};
  expect_refused(tokenizer_json(Json::object(), {{"pre_tokenizer", split}}), "(a");
}

}  // namespace
}  // namespace tutti
