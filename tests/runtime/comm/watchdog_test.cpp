// The watchdog barks once, says what was waited for, and outlives an abort that hangs.
#include "runtime/comm/watchdog.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>

namespace tutti {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr auto kLong = std::chrono::seconds(60);

struct Reported {
  std::promise<std::string> promise;
  std::future<std::string> words = promise.get_future();

  std::string wait() {
    return words.wait_for(kLong) == std::future_status::ready ? words.get() : "nothing reported";
  }
};

Watchdog::Hooks quiet(Reported& reported) {
  return {.poll = [] { return std::string(); },
          .progress = [] { return std::string("last call all_reduce_sum #12"); },
          .abort = [] {},
          .report = [&](const std::string& why) { reported.promise.set_value(why); }};
}

TEST(Watchdog, AStageThatOutlivesItsDeadlineIsAbortedAndNamed) {
  Reported reported;
  std::atomic<int> aborts = 0;
  Watchdog::Hooks hooks = quiet(reported);
  hooks.abort = [&] { ++aborts; };
  Watchdog dog(hooks, {.interval = milliseconds(1), .wait_deadline = milliseconds(0)});
  dog.watch("decode step 7");
  const std::string words = reported.wait();
  EXPECT_THAT(words, HasSubstr("for decode step 7"));
  EXPECT_THAT(words, HasSubstr("last call all_reduce_sum #12"));
  EXPECT_EQ(dog.failure(), words);
  EXPECT_EQ(aborts.load(), 1);
}

TEST(Watchdog, AFailureThatPollingFindsIsReportedThoughNothingIsWaitedFor) {
  Reported reported;
  std::atomic<bool> failed = false;
  Watchdog::Hooks hooks = quiet(reported);
  hooks.poll = [&] { return std::string(failed ? "a link failed" : ""); };
  Watchdog dog(hooks, {.interval = milliseconds(1)});
  EXPECT_EQ(dog.failure(), "");
  failed = true;
  EXPECT_EQ(reported.wait(), "a link failed");
  EXPECT_EQ(dog.failure(), "a link failed");
}

TEST(Watchdog, WithNothingToWaitForThereIsNoDeadline) {
  Reported reported;
  std::atomic<int> polls = 0;
  std::promise<void> many;
  Watchdog::Hooks hooks = quiet(reported);
  hooks.poll = [&] {
    if (++polls == 20) {
      many.set_value();
    }
    return std::string();
  };
  Watchdog dog(hooks, {.interval = milliseconds(1), .wait_deadline = milliseconds(0)});
  ASSERT_EQ(many.get_future().wait_for(kLong), std::future_status::ready);
  EXPECT_EQ(dog.failure(), "");
  dog.stop();
}

TEST(Watchdog, AnAbortThatHangsIsLeftToItself) {
  Reported reported;
  auto release = std::make_shared<std::promise<void>>();
  auto released = std::make_shared<std::future<void>>(release->get_future());
  auto ended = std::make_shared<std::promise<void>>();
  std::future<void> end = ended->get_future();
  Watchdog::Hooks hooks = quiet(reported);
  hooks.abort = [released, ended] {
    released->wait();
    ended->set_value();
  };
  Watchdog dog(hooks, {.interval = milliseconds(1),
                       .wait_deadline = milliseconds(0),
                       .abort_deadline = milliseconds(1)});
  dog.watch("prefill");
  EXPECT_THAT(reported.wait(), HasSubstr("did not end in time"));
  release->set_value();
  EXPECT_EQ(end.wait_for(kLong), std::future_status::ready);
}

TEST(RunWithDeadline, SaysWhetherTheWorkEndedEvenByAnException) {
  EXPECT_TRUE(run_with_deadline([] {}, kLong));
  EXPECT_TRUE(
      run_with_deadline([] { throw std::string("no exception type of ours").size(); }, kLong));
}

}  // namespace
}  // namespace tutti
