#include "launch/prompt_encoder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/support/byte_tokenizer.hpp"

namespace tutti {
namespace {

using test::ByteTokenizer;

// A format of one token for each character, nothing around.
std::vector<TokenId> join(std::span<const ChatMessage> messages) {
  std::vector<TokenId> ids;
  for (const ChatMessage& message : messages) {
    ids.insert(ids.end(), message.content.begin(), message.content.end());
  }
  return ids;
}

std::string text_of(const std::vector<TokenId>& ids) {
  return {ids.begin(), ids.end()};
}

TEST(PromptEncoder, EmptyPromptIsRefused) {
  const ByteTokenizer tokenizer;
  EXPECT_THROW(PromptEncoder(tokenizer).encode(std::string()), ConfigError);
  EXPECT_EQ(PromptEncoder(tokenizer).encode(std::string("ab")).size(), 2u);
}

TEST(PromptEncoder, RoomIsOneTokenLessThanTheContext) {
  EXPECT_NO_THROW(require_room("the prompt", 7, 8));
  try {
    require_room("prompt 2", 8, 8);
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("prompt 2 has 8 tokens, wanted at most 7"));
  }
}

TEST(Conversation, KeepsTheHistoryWhileItFits) {
  Conversation chat(join);
  EXPECT_EQ(text_of(chat.ask("one", 100, 10).prompt), "one");
  chat.answer("ONE");
  const Conversation::Turn turn = chat.ask("two", 100, 10);
  EXPECT_EQ(text_of(turn.prompt), "oneONEtwo");
  EXPECT_EQ(turn.dropped, 0);
}

TEST(Conversation, DropsTheOldestTurnsWhenTheContextIsFull) {
  Conversation chat(join);
  for (const char* word : {"aaaa", "bbbb", "cccc"}) {
    chat.ask(word, 100, 4);
    chat.answer("....");
  }
  const Conversation::Turn turn = chat.ask("dddd", 18, 4);
  EXPECT_EQ(text_of(turn.prompt), "cccc....dddd");
  EXPECT_EQ(turn.dropped, 2);
}

TEST(Conversation, MessageThatIsTooLongAloneIsRefusedAndForgotten) {
  Conversation chat(join);
  EXPECT_THROW(chat.ask(std::string(20, 'x'), 20, 4), ConfigError);
  EXPECT_EQ(text_of(chat.ask("ok", 20, 4).prompt), "ok");
}

TEST(Conversation, RefusedMessageLeavesTheHistory) {
  Conversation chat(join);
  chat.ask("hi", 20, 4);
  chat.answer("HI");
  EXPECT_THROW(chat.ask(std::string(30, 'x'), 20, 4), ConfigError);
  EXPECT_EQ(text_of(chat.ask("ok", 20, 4).prompt), "hiHIok");
}

}  // namespace
}  // namespace tutti
