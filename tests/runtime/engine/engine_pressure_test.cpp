// The engine one step ahead, where pages run out; and what it counts.
#include <gmock/gmock.h>

#include "tests/support/ahead_engine.hpp"

namespace tutti {
namespace {

using namespace test::ahead;
using test::SamplingModel;

// Eight at a time that grow by up to five pages each: on few pages somebody gives way all the time,
// mostly with a token still on the device.
std::vector<Request> crowded_requests() {
  std::vector<Request> requests;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    const int i = static_cast<int>(seed);
    requests.push_back(request_of(seed, 1 + i * 7 % 41, 1 + i * 11 % 80));
    if (i % 4 != 0) {  // samples of one prompt
      requests.back().prompt = requests[seed / 4 * 4].prompt;
    }
    requests.back().options.repetition_penalty = i % 3 == 0 ? 1.3 : 1.0;
    requests.back().options.presence_penalty = i % 5 == 0 ? 0.5 : 0.0;
    if (i % 7 == 0) {
      requests.back().options.logprobs = 1;
    }
  }
  return requests;
}

TEST(EngineUnderPressure, NoTokenIsLostWhereRequestsGiveWay) {
  const Answers wanted = by_hand(crowded_requests(), letters);
  for (const bool host : {true, false}) {
    for (const bool caching : {true, false}) {
      for (const int pages : {8, 10, 13}) {
        const test::ahead::Run run{
            .rows = 8, .pages = pages, .host = host, .options = {.prefix_caching = caching}};
        with_engine(run, crowded_requests(), [&](Engine& engine, SamplingModel& model) {
          Answers heard;
          engine.run_until_idle([&](const TokenEvent& event) { heard[event.request].hear(event); });
          EXPECT_EQ(heard, wanted) << pages << " pages, caching " << caching;
          EXPECT_LE(model.most_ahead(), 1);
          EXPECT_GT(engine.counters().preemptions, 10u);
          EXPECT_GT(engine.counters().recomputed_tokens, 0u);
          EXPECT_EQ(engine.counters().cached_tokens > 0, caching);
          EXPECT_EQ(engine.counters().used_pages, 0);
        });
      }
    }
  }
}

TEST(EngineUnderPressure, RanksFollowWhereRequestsGiveWay) {
  EXPECT_EQ(answers({.rows = 8, .pages = 8, .ranks = 3}, crowded_requests()),
            by_hand(crowded_requests(), letters));
}

TEST(EngineUnderPressure, CancelledRequestsGiveAllBackWhereOthersGiveWay) {
  const Answers wanted = by_hand(crowded_requests(), letters);
  for (std::uint32_t turn = 0; turn < 30; ++turn) {
    with_engine({.rows = 8, .pages = 8}, crowded_requests(), [&](Engine& engine, SamplingModel&) {
      std::uint32_t random = turn;
      Answers heard;
      while (!engine.idle()) {
        random = random * 1664525U + 1013904223U;
        if (random >> 30 == 0) {
          engine.cancel(1000 + (random >> 8) % 150);
        }
        engine.step([&](const TokenEvent& event) { heard[event.request].hear(event); });
      }
      ASSERT_EQ(heard.size(), wanted.size());
      for (const auto& [id, answer] : heard) {
        if (answer.finish != FinishReason::cancelled) {
          EXPECT_EQ(answer, wanted.at(id)) << id;
        }
      }
      EXPECT_EQ(engine.counters().used_pages, 0);
      EXPECT_EQ(engine.waiting() + engine.running(), 0u);
    });
  }
}

TEST(EngineCounters, SayWhatWasDone) {
  std::vector<Request> requests = {request_of(1, 40, 5), request_of(2, 40, 7), request_of(4, 3, 9)};
  requests[1].prompt = requests[0].prompt;
  with_engine({.oracle = endless, .step_tokens = 64}, requests,
              [](Engine& engine, SamplingModel& model) {
                EXPECT_EQ(engine.counters().pages, 24);
                EXPECT_EQ(engine.waiting(), 3u);
                engine.step([](const TokenEvent&) {});
                EXPECT_EQ(engine.waiting(), 0u);
                EXPECT_EQ(engine.running(), 3u);
                EXPECT_EQ(engine.counters().used_pages, 3 + 1 + 1) << "two pages are shared";
                engine.run_until_idle([](const TokenEvent&) {});
                const EngineCounters& counters = engine.counters();
                EXPECT_EQ(counters.steps, static_cast<std::uint64_t>(model.launched()));
                EXPECT_EQ(counters.prompt_tokens, 83u);
                EXPECT_EQ(counters.cached_tokens, 32u);
                EXPECT_EQ(counters.output_tokens, 21u);
                EXPECT_EQ(counters.computed_tokens, 83u - 32u + 21u - 3u);
                EXPECT_EQ(counters.recomputed_tokens, 0u);
                EXPECT_EQ(counters.preemptions, 0u);
                EXPECT_EQ(counters.used_pages, 0);
                EXPECT_EQ(counters.cached_pages, 2);
              });
}

// A step is the copy of its plan and its work; the copy of its ids lies behind it.
TEST(EngineCounters, TellTheDevicesTimeAndItsGaps) {
  with_engine({.oracle = endless}, {request_of(1, 3, 6)}, [](Engine& engine, SamplingModel& model) {
    engine.run_until_idle([](const TokenEvent&) {});
    EXPECT_NEAR(engine.counters().device_seconds, 6 * 0.002, 1e-9);
    EXPECT_NEAR(engine.counters().gap_seconds, 5 * 0.001, 1e-9);
    const Request later = request_of(2, 3, 4);
    model.expect(later);
    engine.submit(later);
    engine.run_until_idle([](const TokenEvent&) {});
    EXPECT_NEAR(engine.counters().device_seconds, 10 * 0.002, 1e-9);
    EXPECT_NEAR(engine.counters().gap_seconds, 8 * 0.001, 1e-9) << "there was no work between";
    EXPECT_NEAR(engine.counters().longest_gap_seconds, 0.001, 1e-9);
  });
}

}  // namespace
}  // namespace tutti
