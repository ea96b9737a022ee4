#include "launch/answer_writer.hpp"

#include <gtest/gtest.h>

namespace tutti {
namespace {

class AnswerWriterTest : public testing::Test {
 protected:
  AnswerWriter writer(AnswerStyle style) {
    return {style,
            {{"ranks", 2}},
            [](TokenId id) { return "t" + std::to_string(id); },
            [this](std::string_view text) { out_ += text; }};
  }
  static TokenEvent token(std::uint64_t request, TokenId id, const std::string& text,
                          std::optional<FinishReason> finish = {}) {
    return {
        .request = request, .token = id, .text = text, .logprob = {}, .top = {}, .finish = finish};
  }

  std::string out_;
};

TEST_F(AnswerWriterTest, StreamsOneAnswerAndEndsItsLine) {
  AnswerWriter one = writer(AnswerStyle::text);
  one.expect({{1, 2}}, 0);
  one.hear(token(0, 5, "Hel"));
  EXPECT_EQ(out_, "Hel");
  one.hear(token(0, 6, "lo", FinishReason::stop));
  EXPECT_EQ(out_, "Hello\n");
}

TEST_F(AnswerWriterTest, KeepsTheOrderOfPromptsWhileAnswersInterleave) {
  AnswerWriter two = writer(AnswerStyle::text);
  two.expect({{1}, {2}}, 0);
  two.hear(token(1, 5, "second", FinishReason::length));
  two.hear(token(0, 6, "fir"));
  two.hear(token(0, 7, "st\n", FinishReason::stop));
  EXPECT_EQ(out_, "=== answer 1 of 2 ===\nfirst\n\n=== answer 2 of 2 ===\nsecond\n");
}

TEST_F(AnswerWriterTest, LaterAnswerGoesOnStreamingOnceItIsItsTurn) {
  AnswerWriter two = writer(AnswerStyle::text);
  two.expect({{1}, {2}}, 0);
  two.hear(token(1, 5, "ab"));
  two.hear(token(0, 6, "x", FinishReason::stop));
  two.hear(token(1, 5, "cd"));
  EXPECT_EQ(out_, "=== answer 1 of 2 ===\nx\n\n=== answer 2 of 2 ===\nabcd");
}

TEST_F(AnswerWriterTest, JsonHasIdsTextUsageAndModel) {
  AnswerWriter one = writer(AnswerStyle::json);
  one.expect({{1, 2}}, 7);
  TokenEvent event = token(7, 5, "a");
  event.logprob = -0.5f;
  event.top = {{.id = 5, .logprob = -0.5f}, {.id = 9, .logprob = -2.0f}};
  one.hear(event);
  EXPECT_EQ(out_, "");
  one.hear(token(7, 3, "", FinishReason::stop));
  ASSERT_TRUE(out_.ends_with("}\n"));
  const nlohmann::json object = nlohmann::json::parse(out_);
  EXPECT_EQ(object["index"], 7);
  EXPECT_EQ(object["ranks"], 2);
  EXPECT_EQ(object["prompt_ids"], (std::vector<int>{1, 2}));
  EXPECT_EQ(object["token_ids"], (std::vector<int>{5, 3}));
  EXPECT_EQ(object["text"], "a");
  EXPECT_EQ(object["finish_reason"], "stop");
  EXPECT_EQ(object["usage"]["total_tokens"], 4);
  EXPECT_EQ(object["logprobs"][0]["token"], "t5");
  EXPECT_EQ(object["logprobs"][0]["top"][1]["id"], 9);
}

TEST_F(AnswerWriterTest, CancelledAnswerCountsNoTokenForItsEnd) {
  AnswerWriter one = writer(AnswerStyle::text);
  one.expect({{1}}, 0);
  one.hear(token(0, 5, "so"));
  one.hear(token(0, -1, "", FinishReason::cancelled));
  EXPECT_EQ(one.answers()[0].tokens.size(), 1u);
  EXPECT_EQ(out_, "so\n");
}

}  // namespace
}  // namespace tutti
