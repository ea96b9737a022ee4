#include "runtime/engine/scheduler.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "kernels/error.hpp"

namespace tutti {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Scheduler, CutsALongPromptIntoChunksOfTheBudget) {
  Scheduler scheduler({.max_step_tokens = 8, .max_running = 4, .page_size = 4}, 16);
  scheduler.add(1, 19, 1);
  std::vector<int> counts;
  for (bool done = false; !done;) {
    const ScheduledStep step = scheduler.next();
    ASSERT_EQ(step.size(), 1u);
    counts.push_back(step[0].count);
    done = step[0].samples;
  }
  EXPECT_EQ(counts, (std::vector{8, 8, 3}));
}

TEST(Scheduler, DecodesBeforeItPrefills) {
  Scheduler scheduler({.max_step_tokens = 8, .max_running = 4, .page_size = 4}, 16);
  scheduler.add(1, 3, 4);
  scheduler.next();
  scheduler.append(1);
  scheduler.add(2, 20, 4);
  const ScheduledStep step = scheduler.next();
  ASSERT_EQ(step.size(), 2u);
  EXPECT_EQ(step[0].id, 1u);
  EXPECT_EQ(step[0].count, 1);
  EXPECT_EQ(step[1].id, 2u);
  EXPECT_EQ(step[1].count, 7);
  EXPECT_FALSE(step[1].samples);
}

TEST(Scheduler, NobodyOvertakesTheOldestRequestThatWaits) {
  Scheduler scheduler({.max_step_tokens = 64, .max_running = 4, .page_size = 4}, 8);
  scheduler.add(1, 16, 4);  // 5 of 8 pages
  scheduler.add(2, 16, 4);  // does not fit beside it
  scheduler.add(3, 2, 2);   // would fit, but waits its turn
  EXPECT_EQ(scheduler.next().size(), 1u);
  scheduler.finish(1);
  EXPECT_EQ(scheduler.next().size(), 2u);
}

TEST(Scheduler, RefusesWhatCanNeverFitAndSaysWhy) {
  Scheduler scheduler({.max_step_tokens = 64, .max_running = 4, .page_size = 16}, 4);
  EXPECT_THAT([&] { scheduler.add(9, 60, 20); },
              ThrowsMessage<CapacityError>(HasSubstr("wants room for 80 tokens")));
  scheduler.add(9, 60, 4);
  EXPECT_THROW(scheduler.add(9, 1, 1), ConfigError);
}

// Plays a random history to its end and checks every promise on the way.
void play(unsigned seed) {
  std::mt19937 random(seed);
  const auto pick = [&random](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  const int page_size = 1 << pick(0, 4);
  const SchedulerLimits limits{
      .max_step_tokens = pick(4, 40), .max_running = pick(1, 4), .page_size = page_size};
  const int pages = pick(8, 64);
  Scheduler scheduler(limits, pages);
  struct Want {
    int known, left, computed = 0;
  };
  std::map<std::uint64_t, Want> wants;
  for (std::uint64_t id = 0; id < 12; ++id) {
    const int prompt = pick(1, std::max(1, pages * page_size / 2));
    const int answer = pick(1, std::max(1, pages * page_size - prompt));
    scheduler.add(id, prompt, std::min(answer, 12));
    wants[id] = {prompt, std::min(answer, 12)};
  }
  for (int steps = 0; !scheduler.idle(); ++steps) {
    ASSERT_LT(steps, 20000) << "starved with seed " << seed;
    const ScheduledStep step = scheduler.next();
    ASSERT_FALSE(step.empty()) << "no progress with seed " << seed;
    int tokens = 0;
    std::set<PageId> held;
    for (const ScheduledChunk& chunk : step) {
      Want& want = wants.at(chunk.id);
      ASSERT_EQ(chunk.first, want.computed);
      want.computed += chunk.count;
      ASSERT_LE(want.computed, want.known);
      ASSERT_EQ(chunk.samples, want.computed == want.known);
      tokens += chunk.count;
      const auto& own = scheduler.pages(chunk.id);
      ASSERT_GE(std::ssize(own) * page_size, want.computed);
      for (const PageId page : own) {
        ASSERT_TRUE(held.insert(page).second) << "page " << page << " has two owners";
      }
    }
    ASSERT_LE(tokens, limits.max_step_tokens);
    ASSERT_LE(std::ssize(step), limits.max_running);
    for (const ScheduledChunk& chunk : step) {
      Want& want = wants.at(chunk.id);
      if (chunk.samples && (--want.left == 0 || pick(0, 30) == 0)) {
        scheduler.finish(chunk.id);
      } else if (chunk.samples) {
        scheduler.append(chunk.id);
        ++want.known;
      }
    }
  }
  ASSERT_EQ(scheduler.free_pages(), pages) << "pages leaked with seed " << seed;
}

TEST(Scheduler, KeepsItsPromisesInRandomHistories) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    ASSERT_NO_FATAL_FAILURE(play(seed));
  }
}

}  // namespace
}  // namespace tutti
