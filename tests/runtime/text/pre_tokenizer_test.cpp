// Expected pieces are those of the `tokenizers` package, 0.23.3.
#include "runtime/text/pre_tokenizer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "runtime/text/regex.hpp"

namespace tutti::text {
namespace {

using testing::ElementsAre;

std::vector<std::string> words(const Json& json, const std::string& input) {
  std::vector<Piece> pieces = {{input, true}};
  make_pre_tokenizer(json, "test")->apply(pieces);
  std::vector<std::string> out;
  for (const Piece& piece : pieces) out.push_back(piece.text);
  return out;
}

Json split(const char* kind, const char* pattern, const char* behavior, bool invert = false) {
  return {{"type", "Split"},
          {"pattern", {{kind, pattern}}},
          {"behavior", behavior},
          {"invert", invert}};
}

TEST(PreTokenizer, SplitKnowsEveryBehavior) {
  const auto cut = [](const char* behavior, bool invert) {
    return words(split("String", "-", behavior, invert), "a--b-c-");
  };
  EXPECT_THAT(cut("Removed", false), ElementsAre("a", "b", "c"));
  EXPECT_THAT(cut("Removed", true), ElementsAre("-", "-", "-", "-"));
  EXPECT_THAT(cut("Isolated", false), ElementsAre("a", "-", "-", "b", "-", "c", "-"));
  EXPECT_THAT(cut("MergedWithPrevious", false), ElementsAre("a-", "-", "b-", "c-"));
  EXPECT_THAT(cut("MergedWithPrevious", true), ElementsAre("a", "-", "-b", "-c", "-"));
  EXPECT_THAT(cut("MergedWithNext", false), ElementsAre("a", "-", "-b", "-c", "-"));
  EXPECT_THAT(cut("MergedWithNext", true), ElementsAre("a-", "-", "b-", "c-"));
  EXPECT_THAT(cut("Contiguous", false), ElementsAre("a", "--", "b", "-", "c", "-"));
  EXPECT_THROW(words(split("String", "-", "Odd"), "a"), ModelFileError);
}

TEST(PreTokenizer, PatternsMeanWhatTheyMeanToOniguruma) {
  EXPECT_THAT(words(split("Regex", R"(\p{N}{1,3}+)", "Isolated"), "a12345b"),
              ElementsAre("a", "12345", "b"));
  EXPECT_THAT(words(split("Regex", "a|", "Isolated"), "bab"), ElementsAre("b", "a", "b"));
  EXPECT_THAT(words(split("Regex", R"(\s+|\w+)", "Isolated"), "a\u180eb c\u0301 ²"),
              ElementsAre("a", "\u180e", "b", " ", "c\u0301", " ", "²"));
  // A letter of Unicode 15 and one of 16, unknown to PCRE2 10.42.
  EXPECT_THAT(words(split("Regex", R"([^\s\p{L}]+|\p{L}+)", "Isolated"), "a\U00031350\u1c89!"),
              ElementsAre("a\U00031350\u1c89", "!"));
  EXPECT_THROW(Regex("[a[bc]]", "test"), ModelFileError);
  EXPECT_THROW(Regex("[a-z&&[^b]]", "test"), ModelFileError);
}

TEST(PreTokenizer, APathologicalPatternGivesUpInsteadOfHanging) {
  const Regex regex("(a+)+$", "test");
  EXPECT_THROW(regex.find_all(std::string(60, 'a') + "b"), ModelFileError);
}

TEST(PreTokenizer, ClassesOfCharactersSplit) {
  EXPECT_THAT(words({{"type", "Digits"}, {"individual_digits", true}}, "a12b٣c"),
              ElementsAre("a", "1", "2", "b", "٣", "c"));
  EXPECT_THAT(words({{"type", "Digits"}, {"individual_digits", false}}, "a12b"),
              ElementsAre("a", "12", "b"));
  EXPECT_THAT(words({{"type", "Punctuation"}}, "a,b!?c$"),
              ElementsAre("a", ",", "b", "!", "?", "c", "$"));
  EXPECT_THAT(words({{"type", "Whitespace"}}, "ab, c_d  é!"),
              ElementsAre("ab", ",", "c_d", "é", "!"));
  EXPECT_THAT(words({{"type", "WhitespaceSplit"}}, "a b\u3000c"), ElementsAre("a", "b", "c"));
}

TEST(PreTokenizer, ByteLevelSplitsAsGpt2AndSpellsBytes) {
  EXPECT_THAT(words({{"type", "ByteLevel"}, {"add_prefix_space", true}}, "a b'll\u180e  1"),
              ElementsAre("Ġa", "Ġb", "'ll", "áłİ", "Ġ", "Ġ1"));
  const Json plain = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  EXPECT_THAT(words(plain, "a b\n"), ElementsAre("aĠbĊ"));
  const Json digits = {{"type", "Digits"}, {"individual_digits", true}};
  const Json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  EXPECT_THAT(words({{"type", "Sequence"}, {"pretokenizers", {digits, bytes}}}, "a  12"),
              ElementsAre("a", "ĠĠ", "1", "2"));
}

TEST(PreTokenizer, MetaspaceBeginsWordsWithTheSpace) {
  EXPECT_THAT(words({{"type", "Metaspace"}, {"replacement", "▁"}}, "a  b"),
              ElementsAre("▁a", "▁", "▁b"));
}

}  // namespace
}  // namespace tutti::text
