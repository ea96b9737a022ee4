// What a request hears depends on nothing but the request: not on who shares its batch, on chunks,
// pages, the prefix cache or ranks. In f32 on the host every bit is the same.
#include <gmock/gmock.h>

#include <bit>

#include "tests/support/random_model.hpp"

namespace tutti {
namespace {

// Everything that was heard of one request; floats by their bits.
struct Heard {
  std::vector<TokenId> tokens;
  std::vector<std::uint32_t> logprobs;
  std::string text;
  std::optional<FinishReason> finish;
  friend bool operator==(const Heard&, const Heard&) = default;
};

using Answers = std::map<std::uint64_t, Heard>;

void hear(Answers& answers, const TokenEvent& event) {
  Heard& heard = answers[event.request];
  EXPECT_FALSE(heard.finish.has_value());
  heard.tokens.push_back(event.token);
  heard.text += event.text;
  heard.finish = event.finish;
  if (event.logprob) {
    heard.logprobs.push_back(std::bit_cast<std::uint32_t>(*event.logprob));
  }
  for (const TokenLogprob& top : event.top) {
    heard.logprobs.push_back(std::bit_cast<std::uint32_t>(top.logprob));
  }
}

// 64 requests: prompts that begin with the same words, several samples of one prompt, prompts of
// their own; every way of sampling.
std::vector<Request> many_requests() {
  std::vector<Request> requests;
  for (std::uint64_t i = 0; i < 64; ++i) {
    Request request{.id = i, .stream = i};
    const std::uint64_t own = i % 8 < 4 ? i / 8 : i;  // four samples of one prompt, four others
    const std::uint64_t alike = i % 3 == 0 ? 0 : 33;
    const std::uint64_t length = alike + 1 + own * 13 % 70;
    for (std::uint64_t at = 0; at < length; ++at) {
      request.prompt.push_back(
          static_cast<TokenId>((at < alike ? at * 7 : at * 37 + own * 11) % 256));
    }
    request.options = {.temperature = 0.4 * static_cast<double>(i % 4),
                       .top_k = i % 5 == 0 ? 20 : 0,
                       .top_p = i % 2 == 0 ? 0.9 : 1,
                       .repetition_penalty = i % 7 == 0 ? 1.2 : 1,
                       .presence_penalty = i % 5 == 1 ? 1.15 : 0,
                       .frequency_penalty = i % 5 == 2 ? 0.3 : 0,
                       .seed = 4 + i % 2,
                       .max_tokens = 1 + static_cast<int>(i * 29 % 97),
                       .min_tokens = static_cast<int>(i % 9),
                       .ignore_eos = i % 6 != 0};
    if (i % 4 < 2) {
      request.options.logprobs = static_cast<int>(i % 3);
    }
    requests.push_back(request);
  }
  return requests;
}

Answers listen(const test::EngineRun& run, const std::vector<Request>& requests,
               EngineCounters* counters = nullptr) {
  Answers heard;
  test::with_engine(run, [&](Engine& engine) {
    for (const Request& request : requests) {
      engine.submit(request);
    }
    engine.run_until_idle([&](const TokenEvent& event) { hear(heard, event); });
    EXPECT_EQ(engine.counters().used_pages, 0);
    if (counters != nullptr) {
      *counters = engine.counters();
    }
  });
  return heard;
}

void expect_same(const Answers& found, const Answers& wanted, const std::string& how) {
  ASSERT_EQ(found.size(), wanted.size()) << how;
  for (const auto& [id, heard] : wanted) {
    EXPECT_EQ(found.at(id).tokens, heard.tokens) << how << ", request " << id;
    EXPECT_TRUE(found.at(id) == heard) << how << ", request " << id;
  }
}

// One after another, each in an engine of its own.
const Answers& alone() {
  static const Answers wanted = [] {
    Answers all;
    for (const Request& request : many_requests()) {
      all.merge(listen({.pages = 24, .options = {.prefix_caching = false}}, {request}));
    }
    return all;
  }();
  return wanted;
}

constexpr ModelLimits kAllAtOnce{.max_step_tokens = 512, .max_logit_rows = 64};

TEST(EngineInvariance, ABatchOf64HearsWhatEachHearsAlone) {
  for (const bool caching : {false, true}) {
    EngineCounters counters;
    const test::EngineRun run{
        .pages = 768, .limits = kAllAtOnce, .options = {.prefix_caching = caching}};
    expect_same(listen(run, many_requests(), &counters), alone(), "all at once");
    EXPECT_EQ(counters.cached_tokens > 1000, caching);
    EXPECT_EQ(counters.preemptions, 0u);
  }
}

TEST(EngineInvariance, ChunksOfAnySizeMakeNoDifference) {
  for (const int tokens : {8, 37, 100}) {
    for (const bool caching : {false, true}) {
      const test::EngineRun run{.pages = 768,
                                .limits = {.max_step_tokens = tokens, .max_logit_rows = 8},
                                .options = {.prefix_caching = caching}};
      expect_same(listen(run, many_requests()), alone(), std::to_string(tokens) + " a step");
    }
  }
}

TEST(EngineInvariance, RequestsThatGiveWayAllTheTimeHearTheSame) {
  for (const int pages : {14, 20}) {
    for (const bool caching : {false, true}) {
      EngineCounters counters;
      const test::EngineRun run{
          .pages = pages, .limits = kAllAtOnce, .options = {.prefix_caching = caching}};
      expect_same(listen(run, many_requests(), &counters), alone(),
                  std::to_string(pages) + " pages");
      EXPECT_GT(counters.preemptions, 10u) << pages;
      EXPECT_GT(counters.recomputed_tokens, 100u) << pages;
    }
  }
}

// Among ranks a sum is cut elsewhere, so that their bits are compared with their own.
TEST(EngineInvariance, RanksHearTheSameInAllOfThis) {
  for (const int ranks : {2, 3}) {
    const Answers calm = listen(
        {.ranks = ranks, .pages = 768, .limits = kAllAtOnce, .options = {.prefix_caching = false}},
        many_requests());
    EngineCounters counters;
    const test::EngineRun run{
        .ranks = ranks, .pages = 20, .limits = {.max_step_tokens = 40, .max_logit_rows = 24}};
    expect_same(listen(run, many_requests(), &counters), calm, std::to_string(ranks) + " ranks");
    for (const auto& [id, heard] : alone()) {
      EXPECT_EQ(calm.at(id).tokens, heard.tokens) << id;
    }
    EXPECT_GT(counters.preemptions, 10u);
    EXPECT_GT(counters.cached_tokens, 500u);
  }
}

TEST(EngineInvariance, WhoComesLaterFindsThePagesOfWhoHasGone) {
  test::with_engine({.pages = 768, .limits = kAllAtOnce}, [](Engine& engine) {
    for (int round = 0; round < 3; ++round) {
      Answers heard;
      for (const Request& request : many_requests()) {
        if (request.id % 3 == 0 || request.id % 5 == 0) {
          engine.submit(request);
          engine.run_until_idle([&](const TokenEvent& event) { hear(heard, event); });
          EXPECT_TRUE(heard.at(request.id) == alone().at(request.id)) << request.id;
        }
      }
    }
    EXPECT_GT(engine.counters().cached_tokens, engine.counters().prompt_tokens / 2);
    EXPECT_GT(engine.counters().cached_pages, 100);
  });
}

// A chat: the next prompt begins with the last one and its answer.
TEST(EngineInvariance, TheNextTurnOfAChatFindsTheLastAnswersPages) {
  test::with_engine({}, [](Engine& engine) {
    Request request{.id = 1, .prompt = std::vector<TokenId>(20, 65)};
    request.options = {.max_tokens = 30, .ignore_eos = true};
    engine.submit(request);
    engine.run_until_idle([&](const TokenEvent& event) { request.prompt.push_back(event.token); });
    ASSERT_EQ(request.prompt.size(), 50u);
    engine.submit(request);
    engine.run_until_idle([](const TokenEvent&) {});
    EXPECT_EQ(engine.counters().cached_tokens, 48u);
  });
}

}  // namespace
}  // namespace tutti
