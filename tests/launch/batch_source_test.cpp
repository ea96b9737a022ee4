#include "launch/batch_source.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <map>

#include "tests/support/byte_tokenizer.hpp"
#include "tests/support/scratch_folder.hpp"

namespace tutti {
namespace {

class BatchSourceTest : public testing::Test {
 protected:
  BatchInput input(const std::string& text) const {
    return BatchInput::open(folder_.write("in.jsonl", text).string());
  }
  // Everything that comes of an input.
  std::vector<BatchItem> items(const std::string& text, BatchSourceOptions options = {}) {
    if (!options.earlier) {
      options.earlier = [](std::uint64_t, std::uint64_t) { return EarlierAnswer::none; };
    }
    BatchSource source(input(text), encoder_, std::move(options));
    std::vector<BatchItem> all = drain(source);
    counts_ = source.counts();
    return all;
  }
  static std::vector<BatchItem> drain(BatchSource& source) {
    std::vector<BatchItem> all;
    while (!source.ended()) {
      source.wait(std::chrono::milliseconds(50));
      while (auto item = source.take()) {
        all.push_back(std::move(*item));
      }
    }
    return all;
  }

  test::ScratchFolder folder_;
  test::ByteTokenizer tokenizer_;
  BatchEncoder encoder_{
      tokenizer_, ChatFormat::by_name("llama-2"), "", {.context = 32, .vocabulary = 259}};
  BatchSourceCounts counts_;
};

TEST_F(BatchSourceTest, TokenizesInOrderAndSkipsBlankLines) {
  const auto all = items("{\"prompt\": \"ab\"}\n\n  \r\n{\"prompt\": \"c\", \"id\": 5}");
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].prompt, (std::vector<TokenId>{'a', 'b'}));
  EXPECT_EQ(all[0].request.custom_id, "line-1");
  EXPECT_EQ(all[1].request.line, 4U);
  EXPECT_EQ(counts_.lines, 2U);
}

TEST_F(BatchSourceTest, ShardsAreEveryNthLineAndKeepTheirNumbers) {
  const std::string text =
      "{\"prompt\": \"0\"}\n{\"prompt\": \"1\"}\n\n{\"prompt\": \"3\"}\n{\"prompt\": \"4\"}";
  std::map<std::string, std::string> found;
  for (std::int64_t index = 0; index < 3; ++index) {
    const BatchShard shard{.index = index, .count = 3};
    std::uint64_t lines = 0;
    for (const BatchItem& item : items(text, {.shard = shard})) {
      EXPECT_TRUE(found.emplace(item.request.custom_id, item.request.prompt).second);
      ++lines;
    }
    EXPECT_EQ(counts_.lines, lines);
    EXPECT_EQ(BatchInput::open(folder_.write("in.jsonl", text).string(), shard).lines, lines);
  }
  EXPECT_EQ(found, (std::map<std::string, std::string>{
                       {"line-1", "0"}, {"line-2", "1"}, {"line-4", "3"}, {"line-5", "4"}}));
}

TEST_F(BatchSourceTest, AnAnswerGetsWhatTheContextLeaves) {
  const auto all = items("{\"prompt\": \"0123456789\", \"max_tokens\": 100}\n");
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].request.sampling.max_tokens, 22);
}

TEST_F(BatchSourceTest, APromptBeyondTheContextIsRefused) {
  const auto all = items("{\"prompt\": \"01234567890123456789012345678901\"}\n");
  ASSERT_TRUE(all[0].refusal);
  EXPECT_EQ(all[0].refusal->code, "context_length_exceeded");
  EXPECT_NE(all[0].refusal->message.find("32 tokens, wanted at most 31"), std::string::npos);
}

TEST_F(BatchSourceTest, IdsBeyondTheVocabularyAreRefused) {
  for (const char* line : {R"({"prompt": [259]})", R"({"prompt": "x", "logit_bias": {"259": 1}})",
                           R"({"prompt": "x", "stop_token_ids": [1000]})"}) {
    const auto all = items(line);
    ASSERT_TRUE(all[0].refusal) << line;
    EXPECT_EQ(all[0].refusal->code, "invalid_value");
  }
}

TEST_F(BatchSourceTest, RolesThatTheFormatDoesNotKnowAreRefused) {
  const auto all = items(
      R"({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]})");
  ASSERT_TRUE(all[0].refusal);
  EXPECT_EQ(all[0].refusal->code, "invalid_messages");
}

TEST_F(BatchSourceTest, ChatsWithoutAFormatAreRefusedWithTheReason) {
  const BatchEncoder none(tokenizer_, std::nullopt, "no template",
                          {.context = 32, .vocabulary = 259});
  BatchRequest request;
  request.api = BatchApi::chat;
  request.messages = {{.role = "user", .content = "hi"}};
  try {
    none.encode(request);
    FAIL();
  } catch (const RequestRefused& refused) {
    EXPECT_EQ(refused.code, "no_chat_format");
    EXPECT_STREQ(refused.what(), "no template");
  }
}

TEST_F(BatchSourceTest, OfAnIdThatComesTwiceTheFirstWins) {
  const auto all = items(
      "{\"custom_id\": \"a\", \"prompt\": \"1\"}\n{\"custom_id\": \"line-3\", \"prompt\": \"2\"}\n"
      "{\"custom_id\": \"a\", \"prompt\": \"3\"}\n");
  ASSERT_EQ(all.size(), 3U);
  EXPECT_FALSE(all[0].refusal);
  ASSERT_TRUE(all[2].refusal);
  EXPECT_EQ(all[2].refusal->code, "duplicate_custom_id");
  EXPECT_NE(all[2].refusal->message.find("line 1"), std::string::npos);
  EXPECT_EQ(all[2].request.custom_id, "line-3-again");
}

TEST_F(BatchSourceTest, WhatAnEarlierRunDidIsLeftOut) {
  std::map<std::uint64_t, std::uint64_t> done;
  const std::string text = "{\"custom_id\": \"a\", \"prompt\": \"1\"}\nbad\n";
  for (const BatchItem& item : items(text)) {
    done[hash_of_id(item.request.custom_id)] = item.hash;
  }
  const auto earlier = [&](std::uint64_t id, std::uint64_t hash) {
    const auto found = done.find(id);
    return found == done.end()     ? EarlierAnswer::none
           : found->second == hash ? EarlierAnswer::same
                                   : EarlierAnswer::other;
  };
  EXPECT_TRUE(items(text, {.earlier = earlier}).empty());
  EXPECT_EQ(counts_.skipped, 2U);
  const auto changed =
      items("{\"custom_id\": \"a\", \"prompt\": \"2\"}\nbad!\n", {.earlier = earlier});
  ASSERT_EQ(changed.size(), 2U);
  EXPECT_TRUE(changed[0].again);
  EXPECT_TRUE(changed[1].again);
}

TEST_F(BatchSourceTest, ReadsABoundedNumberAhead) {
  std::string text;
  for (int i = 0; i < 500; ++i) {
    text += "{\"prompt\": \"abc\"}\n";
  }
  BatchSourceOptions options;
  options.earlier = [](std::uint64_t, std::uint64_t) { return EarlierAnswer::none; };
  options.ahead = 4;
  BatchSource source(input(text), encoder_, options);
  std::size_t taken = 0;
  while (!source.ended()) {
    source.wait(std::chrono::milliseconds(50));
    EXPECT_LE(source.counts().lines, taken + 4 + 2);
    taken += source.take() ? 1 : 0;
  }
  EXPECT_EQ(taken, 500U);
}

TEST_F(BatchSourceTest, AnOverlongLineIsRefusedAndTheNextIsRead) {
  BatchSourceOptions options;
  options.longest_line = 100;
  const auto all =
      items("{\"prompt\": \"" + std::string(300000, 'x') + "\"}\n{\"prompt\": \"y\"}\n", options);
  ASSERT_EQ(all.size(), 2U);
  ASSERT_TRUE(all[0].refusal);
  EXPECT_EQ(all[0].refusal->code, "line_too_long");
  EXPECT_FALSE(all[1].refusal);
}

TEST_F(BatchSourceTest, AByteOrderMarkIsNotText) {
  EXPECT_FALSE(items("\xEF\xBB\xBF{\"prompt\": \"x\"}\n")[0].refusal);
}

TEST_F(BatchSourceTest, RawTextLosesItsLineEndsAlone) {
  const auto all = items(" a \r\nb\n", {.defaults = {.raw_text = true}});
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].request.prompt, " a ");
}

TEST_F(BatchSourceTest, AnInputThatIsCutWhileItIsReadIsAnError) {
  BatchInput cut = input("{\"prompt\": \"x\"}\n{\"prompt\": \"y\"}\n");
  std::filesystem::resize_file(folder_.path() / "in.jsonl", 20);
  BatchSourceOptions options;
  options.earlier = [](std::uint64_t, std::uint64_t) { return EarlierAnswer::none; };
  BatchSource source(std::move(cut), encoder_, options);
  std::size_t taken = 0;
  try {
    while (!source.ended()) {
      source.wait(std::chrono::milliseconds(50));
      taken += source.take() ? 1 : 0;
    }
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("was cut while it was read"), std::string::npos);
  }
  EXPECT_EQ(taken, 1U);
}

TEST_F(BatchSourceTest, AnInputThatCannotBeReadIsRefused) {
  EXPECT_THROW(BatchInput::open((folder_.path() / "nowhere").string()), ConfigError);
  EXPECT_THROW(BatchInput::open(folder_.path().string()), ConfigError);
}

TEST_F(BatchSourceTest, StopsWhileAPipeSaysNothing) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  const FileDescriptor writer(ends[1]);
  BatchSourceOptions options;
  options.earlier = [](std::uint64_t, std::uint64_t) { return EarlierAnswer::none; };
  BatchSource source({.file = FileDescriptor(ends[0]), .name = "pipe"}, encoder_, options);
  ASSERT_EQ(write(writer.get(), "{\"prompt\": \"x\"}\n{\"pro", 21), 21);
  std::size_t taken = 0;
  while (taken == 0) {
    source.wait(std::chrono::milliseconds(50));
    taken += source.take() ? 1 : 0;
  }
  EXPECT_FALSE(source.ended());
  source.stop();
  EXPECT_TRUE(drain(source).empty());  // the half line is no request
}

TEST_F(BatchSourceTest, CountsLinesThatAreNotBlank) {
  EXPECT_EQ(input("a\n\n \t\r\nb\nc").lines, 3U);
  EXPECT_EQ(input("").lines, 0U);
}

}  // namespace
}  // namespace tutti
