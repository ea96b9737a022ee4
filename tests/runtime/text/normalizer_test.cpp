// Expected texts are those of the `tokenizers` package, 0.23.3.
#include "runtime/text/normalizer.hpp"

#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "runtime/text/utf8.hpp"
#include "tests/runtime/text/small_tokenizer.hpp"

namespace tutti::text {
namespace {

std::string normalized(const Json& json, const std::string& input) {
  Piece piece{input, true};
  make_normalizer(json, "test")->apply(piece);
  return piece.text;
}

TEST(Normalizer, NormalForms) {
  const std::string text = "e\u0301 \u212b ﬁ";
  EXPECT_EQ(normalized({{"type", "NFC"}}, text), "\u00e9 \u00c5 ﬁ");
  EXPECT_EQ(normalized({{"type", "NFD"}}, text), "e\u0301 A\u030a ﬁ");
  EXPECT_EQ(normalized({{"type", "NFKC"}}, text), "\u00e9 \u00c5 fi");
  EXPECT_EQ(normalized({{"type", "NFKD"}}, text), "e\u0301 A\u030a fi");
}

TEST(Normalizer, StepsOnCharacters) {
  EXPECT_EQ(normalized({{"type", "Lowercase"}}, "İSTANBUL ÀΣ"), "i\u0307stanbul àσ");
  EXPECT_EQ(normalized({{"type", "StripAccents"}}, "e\u0301\u00e9"), "e\u00e9");
  const Json strip = {{"type", "Strip"}, {"strip_left", true}, {"strip_right", false}};
  EXPECT_EQ(normalized(strip, "\u3000 a "), "a ");
  const Json replace = {{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", "_"}};
  EXPECT_EQ(normalized(replace, "a   b c"), "a_b c");
}

TEST(Normalizer, RefusesASequenceThatBlowsATextUp) {
  const Json twice = {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aa"}};
  const Json sequence = {{"type", "Sequence"}, {"normalizers", Json(40, twice)}};
  EXPECT_THROW(normalized(sequence, "a"), ModelFileError);
}

TEST(Utf8, EachMaximalIllFormedSubsequenceBecomesOneReplacement) {
  // The example of Unicode 15, table 3-8, and the cases around it; Python's errors="replace".
  EXPECT_EQ(replace_invalid_utf8("a\xF1\x80\x80\xE1\x80\xC2"
                                 "b\x80"
                                 "c\x80\xBF"
                                 "d"),
            "a\uFFFD\uFFFD\uFFFD"
            "b\uFFFD"
            "c\uFFFD\uFFFD"
            "d");
  EXPECT_EQ(replace_invalid_utf8("\xC0\xAF\xED\xA0\x80\xF4\x90\x80\x80"),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(replace_invalid_utf8("é\xF0\x9F\xA6"), "é\uFFFD");
  EXPECT_TRUE(is_valid_utf8("aé你🦙"));
  EXPECT_TRUE(ends_in_open_character("a\xF0\x9F"));
  EXPECT_FALSE(ends_in_open_character("a\x80"));
}

TEST(Utf8, InvalidInputIsEncodedAsItsReplacement) {
  const auto t = make_small({{"vocab", with(letters(), {{"\uFFFD", 10}})}});
  EXPECT_EQ(encode(*t,
                   "a\xFF\xE4\xBD"
                   "b"),
            (Ids{0, 10, 10, 1}));
}

}  // namespace
}  // namespace tutti::text
