// Expected ids are those of the `tokenizers` package, 0.23.3, for the same vocabularies.
#include <gtest/gtest.h>

#include "tests/runtime/text/small_tokenizer.hpp"

namespace tutti {
namespace {

std::unique_ptr<Tokenizer> with_added(const Json& tokens, const Json& parts = Json::object()) {
  return make_small(Json::object(), with(parts, {{"added_tokens", tokens}}));
}

TEST(AddedTokens, StripTakesTheWhiteSpaceOfItsSide) {
  const auto t = with_added(
      Json::array({added(10, "<x>", {{"lstrip", true}}), added(11, "<y>", {{"rstrip", true}})}));
  EXPECT_EQ(encode(*t, "a  <x>  b"), (Ids{0, 10, 9, 9, 1}));
  EXPECT_EQ(encode(*t, "a  <y>  b"), (Ids{0, 9, 9, 11, 1}));
}

TEST(AddedTokens, SingleWordDoesNotMatchInsideOne) {
  const auto t = with_added(Json::array({added(12, "cab", {{"single_word", true}})}));
  EXPECT_EQ(encode(*t, "cab cabb a cab"), (Ids{12, 9, 2, 0, 1, 1, 9, 0, 9, 12}));
  EXPECT_EQ(encode(*t, "cabé"), (Ids{2, 0, 1}));
}

TEST(AddedTokens, TheLongestOfTheLeftmostWins) {
  const auto t = with_added(Json::array({added(10, "<x>"), added(11, "<y>"), added(12, "<x><y>")}));
  EXPECT_EQ(encode(*t, "<x><y><x>"), (Ids{12, 10}));
}

TEST(AddedTokens, TextOfAUserNeverBecomesAControlToken) {
  const auto t = with_added(Json::array({added(10, "<xx>", {{"special", true}}), added(11, "xx")}));
  EXPECT_EQ(encode(*t, "a<xx>b", SpecialTokens::parsed), (Ids{0, 10, 1}));
  // The control token's text is consumed as a whole, and so "xx" is not found in it.
  EXPECT_EQ(encode(*t, "a<xx>b", SpecialTokens::as_text), (Ids{0, 1}));
  EXPECT_EQ(encode(*t, "axxb", SpecialTokens::as_text), (Ids{0, 11, 1}));
}

TEST(AddedTokens, NormalizedOnesMatchInTheNormalizedText) {
  const Json lower = {{"normalizer", {{"type", "Lowercase"}}}};
  const auto t =
      with_added(Json::array({added(10, "BAD", {{"normalized", true}}), added(11, "FEG")}), lower);
  EXPECT_EQ(encode(*t, "aBaDb"), (Ids{0, 10, 1}));
  EXPECT_EQ(encode(*t, "afegb aFEGb"), (Ids{0, 5, 4, 6, 1, 9, 0, 11, 1}));
  EXPECT_EQ(t->decode(Ids{10}, false), "bad");
}

TEST(AddedTokens, ThoseOfTokenizerConfigJoin) {
  const Json config = {{"added_tokens_decoder", {{"10", {{"content", "<z>"}, {"special", true}}}}}};
  const auto t = make_tokenizer(
      {{"tokenizer.json", tokenizer_json()}, {"tokenizer_config.json", config.dump()}});
  EXPECT_EQ(encode(*t, "a<z>"), (Ids{0, 10}));
  EXPECT_TRUE(t->is_special(10));
  EXPECT_EQ(t->vocabulary_size(), 11);
}

TEST(AddedTokens, MetaspaceFirstPrefixesTheBeginningOnly) {
  Json metaspace = {{"type", "Metaspace"}, {"replacement", "▁"}, {"split", false}};
  metaspace["prepend_scheme"] = "first";
  const Json control = Json::array({added(16, "<s>", {{"special", true}})});
  const auto first = with_added(control, {{"pre_tokenizer", metaspace}, {"decoder", metaspace}});
  EXPECT_EQ(encode(*first, "a b"), (Ids{8, 0, 8, 1}));
  EXPECT_EQ(encode(*first, " a"), (Ids{8, 0}));
  EXPECT_EQ(encode(*first, "<s>a"), (Ids{16, 0}));
  EXPECT_EQ(encode(*first, "a<s>b <s> c"), (Ids{8, 0, 16, 1, 8, 16, 8, 2}));
  EXPECT_EQ(first->decode(Ids{8, 0, 16, 1, 8, 16, 8, 2}, false), "a<s>b <s> c");
  metaspace["prepend_scheme"] = "always";
  const auto always = with_added(control, {{"pre_tokenizer", metaspace}});
  EXPECT_EQ(encode(*always, "a<s>b"), (Ids{8, 0, 16, 8, 1}));
}

TEST(AddedTokens, ThePrependNormalizerPrefixesEveryStretch) {
  const Json prepend = {{"type", "Prepend"}, {"prepend", "▁"}};
  const Json replace = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}};
  const Json both = {{"type", "Sequence"}, {"normalizers", {prepend, replace}}};
  const auto t =
      with_added(Json::array({added(16, "<s>", {{"special", true}})}), {{"normalizer", both}});
  EXPECT_EQ(encode(*t, " a"), (Ids{8, 8, 0}));
  EXPECT_EQ(encode(*t, "<s>a"), (Ids{16, 8, 0}));
  EXPECT_EQ(encode(*t, ""), Ids{});
}

}  // namespace
}  // namespace tutti
