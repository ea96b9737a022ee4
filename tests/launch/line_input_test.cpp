#include "launch/line_input.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string_view>

namespace tutti {
namespace {

using Outcome = LineInput::Outcome;

class LineInputTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(pipe(ends_.data()), 0); }
  void TearDown() override {
    close(ends_[0]);
    finish();
  }
  void type(std::string_view text) {
    ASSERT_EQ(write(ends_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void finish() {
    if (ends_[1] >= 0) {
      close(ends_[1]);
      ends_[1] = -1;
    }
  }

  std::array<int, 2> ends_{-1, -1};
  std::string line_;
};

TEST_F(LineInputTest, GivesLinesAndALastOneWithoutAnEnd) {
  type("one\r\ntwo\nthree");
  finish();
  LineInput input(ends_[0]);
  EXPECT_EQ(input.next(line_), Outcome::line);
  EXPECT_EQ(line_, "one");
  EXPECT_EQ(input.next(line_), Outcome::line);
  EXPECT_EQ(line_, "two");
  EXPECT_EQ(input.next(line_), Outcome::line);
  EXPECT_EQ(line_, "three");
  EXPECT_EQ(input.next(line_), Outcome::end);
}

TEST_F(LineInputTest, EmptyLineIsALine) {
  type("\n");
  finish();
  LineInput input(ends_[0]);
  EXPECT_EQ(input.next(line_), Outcome::line);
  EXPECT_EQ(line_, "");
  EXPECT_EQ(input.next(line_), Outcome::end);
}

TEST_F(LineInputTest, InterruptKeyDuringAnAnswerIsSeenOnce) {
  LineInput input(ends_[0]);
  EXPECT_FALSE(input.interrupted());
  type("half\x03");
  EXPECT_TRUE(input.interrupted());
  EXPECT_FALSE(input.interrupted());
  type("next\n");
  EXPECT_EQ(input.next(line_), Outcome::line);
  EXPECT_EQ(line_, "next");
}

TEST_F(LineInputTest, LineTypedDuringAnAnswerIsKept) {
  type("early\n");
  LineInput input(ends_[0]);
  EXPECT_FALSE(input.interrupted());
  EXPECT_EQ(input.next(line_), Outcome::line);
  EXPECT_EQ(line_, "early");
}

TEST_F(LineInputTest, InterruptKeyAtThePromptLeaves) {
  type("\x03");
  LineInput input(ends_[0]);
  EXPECT_EQ(input.next(line_), Outcome::interrupted);
}

TEST_F(LineInputTest, InterruptSignalCountsAsTheKey) {
  const InterruptFlag flag;
  LineInput input(ends_[0]);
  std::raise(SIGINT);
  EXPECT_TRUE(input.interrupted());
  EXPECT_FALSE(input.interrupted());
}

}  // namespace
}  // namespace tutti
