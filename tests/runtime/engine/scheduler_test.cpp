#include "runtime/engine/scheduler.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"

namespace tutti {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

// `count` tokens that begin like any other of the same `kind`.
std::vector<TokenId> prompt(int count, TokenId kind = 0) {
  std::vector<TokenId> ids;
  for (TokenId i = 0; i < count; ++i) {
    ids.push_back(1000 * kind + i);
  }
  return ids;
}

// Prompts of their own.
std::vector<TokenId> other(int count) {
  static TokenId kinds = 0;
  return prompt(count, ++kinds);
}

TEST(Scheduler, CutsALongPromptIntoChunksOfTheBudget) {
  Scheduler scheduler({.max_step_tokens = 8, .max_running = 4, .page_size = 4}, 16);
  scheduler.add(1, prompt(19), 1);
  EXPECT_THAT(scheduler.next(), ElementsAre(ScheduledChunk{1, 0, 8, false}));
  EXPECT_THAT(scheduler.next(), ElementsAre(ScheduledChunk{1, 8, 8, false}));
  EXPECT_THAT(scheduler.next(), ElementsAre(ScheduledChunk{1, 16, 3, true}));
  EXPECT_THAT(scheduler.next(), IsEmpty()) << "its token is not heard yet";
}

TEST(Scheduler, DecodesBeforeItPrefills) {
  Scheduler scheduler({.max_step_tokens = 8, .max_running = 4, .page_size = 4}, 16);
  scheduler.add(1, other(3), 4);
  scheduler.next();
  scheduler.hear(1, 7);
  scheduler.add(2, other(20), 4);
  EXPECT_THAT(scheduler.next(),
              ElementsAre(ScheduledChunk{1, 3, 1, true}, ScheduledChunk{2, 0, 7, false}));
}

TEST(Scheduler, GoesAheadOfATokenThatIsNotHeardYet) {
  Scheduler scheduler({.max_step_tokens = 8, .max_running = 4, .page_size = 4}, 16);
  scheduler.add(1, other(3), 4);
  scheduler.next();
  scheduler.go_ahead(1);
  EXPECT_THAT(scheduler.next(), ElementsAre(ScheduledChunk{1, 3, 1, true}));
  scheduler.hear(1, 7);
  EXPECT_THAT(scheduler.next(), IsEmpty()) << "the token after it did not go ahead";
  scheduler.hear(1, 8);
  EXPECT_THAT(scheduler.next(), ElementsAre(ScheduledChunk{1, 4, 1, true}));
}

TEST(Scheduler, NobodyOvertakesTheOldestRequestThatWaits) {
  Scheduler scheduler({.max_step_tokens = 64, .max_running = 4, .page_size = 4}, 8);
  scheduler.add(1, other(16), 4);  // 4 of 8 pages
  scheduler.add(2, other(16), 4);  // would leave none for the first to grow
  scheduler.add(3, other(2), 2);   // would fit, but waits its turn
  EXPECT_EQ(scheduler.next().size(), 1u);
  scheduler.finish(1);
  EXPECT_EQ(scheduler.next().size(), 2u);
}

TEST(Scheduler, AdmitsManyMoreThanTheirLongestAnswersHaveRoomFor) {
  Scheduler scheduler({.max_step_tokens = 64, .max_running = 8, .page_size = 4}, 16);
  for (std::uint64_t id = 0; id < 8; ++id) {
    scheduler.add(id, other(3), 40);
  }
  EXPECT_EQ(scheduler.next().size(), 8u);
  EXPECT_EQ(scheduler.counters().used_pages, 8);
}

TEST(Scheduler, AdmitsAllWhoseLongestAnswersFitTogether) {
  Scheduler scheduler({.max_step_tokens = 64, .max_running = 8, .page_size = 4}, 8 * 2);
  for (std::uint64_t id = 0; id < 8; ++id) {
    scheduler.add(id, other(6), 2);
  }
  EXPECT_EQ(scheduler.next().size(), 8u);
  EXPECT_EQ(scheduler.pool().available(), 0);
}

TEST(Scheduler, TakesTheNamedPagesThatItsTokensBeginWith) {
  Scheduler scheduler({.max_step_tokens = 12, .max_running = 4, .page_size = 4}, 16);
  scheduler.add(1, prompt(10), 9);
  scheduler.add(2, prompt(10), 9);  // in the same step, right behind it
  EXPECT_THAT(scheduler.next(),
              ElementsAre(ScheduledChunk{1, 0, 10, true}, ScheduledChunk{2, 8, 2, true}));
  EXPECT_EQ(scheduler.pages(1)[1], scheduler.pages(2)[1]);
  EXPECT_NE(scheduler.pages(1)[2], scheduler.pages(2)[2]);
  EXPECT_EQ(scheduler.counters().cached_tokens, 8u);
  scheduler.finish(1);
  scheduler.finish(2);
  EXPECT_EQ(scheduler.counters().cached_pages, 2);
  scheduler.add(3, prompt(8), 9);  // one token must be computed: its logits are wanted
  EXPECT_THAT(scheduler.next(), ElementsAre(ScheduledChunk{3, 4, 4, true}));
}

TEST(Scheduler, ChunksOfAPromptAreSharedOnceTheyAreScheduled) {
  Scheduler scheduler({.max_step_tokens = 8, .max_running = 4, .page_size = 4}, 16);
  scheduler.add(1, prompt(20), 9);
  scheduler.add(2, prompt(24), 9);
  EXPECT_THAT(scheduler.next(), ElementsAre(ScheduledChunk{1, 0, 8, false}));
  EXPECT_THAT(scheduler.next(), ElementsAre(ScheduledChunk{1, 8, 8, false}));
  EXPECT_THAT(scheduler.next(),
              ElementsAre(ScheduledChunk{1, 16, 4, true}, ScheduledChunk{2, 20, 4, true}));
}

TEST(Scheduler, PagesOfAnAnswerAreNamedWhenTheirIdsAreHeard) {
  Scheduler scheduler({.max_step_tokens = 16, .max_running = 4, .page_size = 4}, 16);
  scheduler.add(1, prompt(3), 9);
  scheduler.next();
  for (const TokenId id : {3, 4, 5}) {
    scheduler.hear(1, id);
    scheduler.next();
  }
  scheduler.finish(1);
  scheduler.add(2, prompt(12), 1);
  EXPECT_THAT(scheduler.next(), ElementsAre(ScheduledChunk{2, 4, 8, true}));
}

TEST(Scheduler, SharesNothingWhereItIsNotAsked) {
  Scheduler scheduler(
      {.max_step_tokens = 64, .max_running = 4, .page_size = 4, .prefix_caching = false}, 16);
  scheduler.add(1, prompt(10), 9);
  scheduler.add(2, prompt(10), 9);
  EXPECT_THAT(scheduler.next(),
              ElementsAre(ScheduledChunk{1, 0, 10, true}, ScheduledChunk{2, 0, 10, true}));
  scheduler.finish(1);
  EXPECT_EQ(scheduler.counters().cached_pages, 0);
}

TEST(Scheduler, RefusesWhatCanNeverFitAndSaysWhy) {
  Scheduler scheduler({.max_step_tokens = 64, .max_running = 4, .page_size = 16}, 4);
  EXPECT_THAT([&] { scheduler.add(9, other(60), 20); },
              ThrowsMessage<CapacityError>(HasSubstr("wants room for 80 tokens")));
  scheduler.add(9, other(60), 4);
  EXPECT_THROW(scheduler.add(9, other(1), 1), ConfigError);
}

// Two requests on five pages, until the older one has to grow.
class ShortOfPages : public ::testing::Test {
 protected:
  ShortOfPages() {
    scheduler_.add(1, other(4), 12);
    scheduler_.next();
    hear(1);
    scheduler_.add(2, other(7), 9);  // leaves one page, for the first
    scheduler_.next();
    hear(1);
    hear(2);
    scheduler_.add(3, other(1), 1);
    for (int i = 0; i < 2; ++i) {
      scheduler_.next();
      hear(1);
      hear(2);
    }
  }
  void hear(std::uint64_t id) { scheduler_.hear(id, 5); }

  Scheduler scheduler_{{.max_step_tokens = 64, .max_running = 4, .page_size = 4}, 5};
};

TEST_F(ShortOfPages, TheYoungestGivesWayAndIsTheFirstToComeBack) {
  // 1 knows 8 tokens in 2 pages, 2 knows 10 in 3; 1 cannot go past its page.
  EXPECT_THAT(scheduler_.next(),
              ElementsAre(ScheduledChunk{1, 7, 1, true}, ScheduledChunk{2, 9, 1, true}));
  hear(1);
  hear(2);
  EXPECT_THAT(scheduler_.next(), ElementsAre(ScheduledChunk{1, 8, 1, true}));
  EXPECT_THAT(scheduler_.preempted(), ElementsAre(2u));
  EXPECT_EQ(scheduler_.waiting(), 2u);
  EXPECT_EQ(scheduler_.counters().preemptions, 1u);
  scheduler_.finish(1);
  const ScheduledStep step = scheduler_.next();
  ASSERT_EQ(step.size(), 2u);
  EXPECT_EQ(step[0].id, 2u);
  EXPECT_TRUE(step[0].samples);
  EXPECT_EQ(step[0].first + step[0].count, 11);
  EXPECT_EQ(step[1].id, 3u);
  EXPECT_THAT(scheduler_.preempted(), IsEmpty());
  EXPECT_EQ(scheduler_.counters().recomputed_tokens, 10u - static_cast<unsigned>(step[0].first));
}

TEST_F(ShortOfPages, WhoGaveWayComesBackWhenItsLastTokenIsHeard) {
  scheduler_.next();
  hear(1);
  scheduler_.go_ahead(2);
  scheduler_.next();
  EXPECT_THAT(scheduler_.preempted(), ElementsAre(2u));
  scheduler_.finish(1);
  EXPECT_THAT(scheduler_.next(), IsEmpty());
  hear(2);
  EXPECT_EQ(scheduler_.next().size(), 2u);
}

TEST_F(ShortOfPages, ATokenThatEndsAnAnswerMayBeHeardWhileItWaits) {
  scheduler_.next();
  hear(1);
  scheduler_.next();
  EXPECT_THAT(scheduler_.preempted(), ElementsAre(2u));
  scheduler_.finish(2);
  EXPECT_EQ(scheduler_.waiting(), 1u);
  scheduler_.finish(1);
  EXPECT_THAT(scheduler_.next(), ElementsAre(ScheduledChunk{3, 0, 1, true}));
}

}  // namespace
}  // namespace tutti
