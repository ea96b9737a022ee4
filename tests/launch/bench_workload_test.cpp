#include "launch/bench_workload.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "tests/support/byte_tokenizer.hpp"
#include "tests/support/scratch_folder.hpp"

namespace tutti {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class Workload : public ::testing::Test {
 protected:
  std::vector<WorkItem> read(const std::string& text) const {
    return read_workload(scratch_.write("workload", text), tokenizer_);
  }
  void expect_refusal(const std::string& text, const std::string& where, const std::string& why) {
    EXPECT_THAT([&] { read(text); },
                ThrowsMessage<ConfigError>(AllOf(HasSubstr(where), HasSubstr(why))))
        << text;
  }

 private:
  test::ScratchFolder scratch_;
  test::ByteTokenizer tokenizer_;
};

TEST_F(Workload, LinesGiveLengthsOrTexts) {
  const std::vector<WorkItem> items = read(
      "{\"prompt_tokens\": 3, \"output_tokens\": 5}\n\n"
      "{\"prompt\": \"ab\", \"completion\": \"xyz\"}\n");
  ASSERT_EQ(items.size(), 2u);
  EXPECT_TRUE(items[0].prompt.empty());
  EXPECT_EQ(items[0].tokens(), 8);
  EXPECT_EQ(items[1].prompt.size(), 2u);
  EXPECT_EQ(items[1].prompt_tokens, 2);
  EXPECT_EQ(items[1].output_tokens, 3);
}

TEST_F(Workload, AnArrayOfConversationsGivesTheirFirstTwoTexts) {
  const std::vector<WorkItem> items = read(
      R"( [{"id": "a", "conversations": [{"from": "human", "value": "abc"},
             {"from": "gpt", "value": "de"}, {"from": "human", "value": "more"}]}])");
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].prompt_tokens, 3);
  EXPECT_EQ(items[0].output_tokens, 2);
}

TEST_F(Workload, WhatIsNotARequestIsRefusedWithItsPlace) {
  expect_refusal(
      "{\"prompt_tokens\": 3, \"output_tokens\": 5}\n{\"prompt\": 1, \"completion\": \"a\"}\n",
      "line 2", "type");
  expect_refusal("nonsense\n", "line 1", "parse");
  expect_refusal("[{\"conversations\": []}]", "entry 1", "out of range");
  expect_refusal("{\"prompt_tokens\": 0, \"output_tokens\": 5}", "line 1", "found 0 and 5");
  expect_refusal("", "workload", "found none");
}

TEST_F(Workload, RandomPromptsDependOnSeedAndIdAlone) {
  const std::vector<TokenId> prompt = random_prompt(7, 3, 50, 100);
  EXPECT_EQ(prompt, random_prompt(7, 3, 50, 100));
  EXPECT_NE(prompt, random_prompt(7, 4, 50, 100));
  for (const TokenId id : prompt) {
    EXPECT_TRUE(id >= 0 && id < 100) << id;
  }
}

}  // namespace
}  // namespace tutti
