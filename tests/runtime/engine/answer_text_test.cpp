#include "runtime/engine/answer_text.hpp"

#include <gtest/gtest.h>

#include "tests/support/byte_tokenizer.hpp"

namespace tutti {
namespace {

// Feeds the text byte by byte; "|" marks where a piece came out.
std::string stream(const std::string& text, std::vector<std::string> stop) {
  const test::ByteTokenizer tokenizer;
  AnswerText answer(tokenizer, std::move(stop));
  std::string pieces;
  for (const char c : text) {
    const std::string piece = answer.push(static_cast<unsigned char>(c));
    pieces += piece.empty() ? "" : piece + "|";
  }
  const std::string rest = answer.finish();
  return pieces + rest + (answer.stopped() ? "." : "");
}

TEST(AnswerText, StreamsWithoutStopStrings) {
  EXPECT_EQ(stream("abc", {}), "a|b|c|");
}

TEST(AnswerText, WithholdsWhatMayBecomeAStopString) {
  EXPECT_EQ(stream("aXYb", {"XYZ"}), "a|XYb|");
}

TEST(AnswerText, EndsBeforeTheStopString) {
  EXPECT_EQ(stream("abXYZcd", {"XYZ"}), "a|b|.");
}

TEST(AnswerText, TheEarliestStopStringWins) {
  EXPECT_EQ(stream("aXbYc", {"Y", "Xb"}), "a|.");
}

TEST(AnswerText, HandsOutWhatWasWithheldAtTheEnd) {
  EXPECT_EQ(stream("aXY", {"XYZ"}), "a|XY");
}

TEST(AnswerText, FindsAStopStringThatRepeatsItsBeginning) {
  EXPECT_EQ(stream("aabaabaac", {"aabaac"}), "aab|.");
}

TEST(AnswerText, NeverHandsOutABrokenCharacter) {
  EXPECT_EQ(stream("\xe2\x82\xac!", {}), "\xe2\x82\xac|!|");
}

}  // namespace
}  // namespace tutti
