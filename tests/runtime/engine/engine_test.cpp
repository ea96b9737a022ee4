#include "runtime/engine/engine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <new>

#include "kernels/error.hpp"
#include "tests/support/random_model.hpp"

namespace tutti {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::vector<Request> four_requests() {
  std::vector<Request> requests;
  for (const int length : {1, 17, 40, 100}) {
    Request request{.id = requests.size(), .stream = requests.size()};
    for (int i = 0; i < length; ++i) {
      request.prompt.push_back((i * 37 + length) % 256);
    }
    request.options = {
        .temperature = 0.8, .top_p = 0.95, .seed = 4, .max_tokens = 12, .ignore_eos = true};
    requests.push_back(request);
  }
  return requests;
}

TEST(Engine, AnswersAreTheSameAloneAndInABatch) {
  const auto together = test::answers({}, four_requests());
  for (const Request& request : four_requests()) {
    EXPECT_EQ(test::answers({}, {request}).at(request.id), together.at(request.id));
  }
}

TEST(Engine, AnswersAreTheSameWhateverTheChunks) {
  const auto whole = test::answers({.limits = {.max_step_tokens = 256}}, four_requests());
  for (const int tokens : {8, 9, 23}) {
    const test::EngineRun run{.limits = {.max_step_tokens = tokens, .max_logit_rows = 4}};
    EXPECT_EQ(test::answers(run, four_requests()), whole) << tokens;
  }
}

TEST(Engine, AnswersAreTheSameOnAnyNumberOfRanks) {
  const auto one = test::answers({}, four_requests());
  for (const int ranks : {2, 3, 4, 5, 7, 9}) {
    EXPECT_EQ(test::answers({.ranks = ranks}, four_requests()), one) << ranks;
  }
}

// Few tokens and many take different ways to the experts, and each rank has a slice of all of them.
TEST(Engine, AnswersOfAMixtureDependOnNothingElseEither) {
  const auto answers = [](const test::EngineRun& run, const std::vector<Request>& requests) {
    test::EngineRun mixture = run;
    mixture.spec = test::mixture_spec();
    return test::answers(mixture, requests);
  };
  const auto together = answers({}, four_requests());
  for (const Request& request : four_requests()) {
    EXPECT_EQ(answers({}, {request}).at(request.id), together.at(request.id));
  }
  EXPECT_EQ(answers({.limits = {.max_step_tokens = 9, .max_logit_rows = 4}}, four_requests()),
            together);
  for (const int ranks : {2, 3, 5, 9}) {
    EXPECT_EQ(answers({.ranks = ranks}, four_requests()), together) << ranks;
  }
}

TEST(Engine, ReportsWhyAnAnswerEnded) {
  test::with_engine({}, [](Engine& engine) {
    engine.submit({.id = 1, .prompt = {65}, .options = {.max_tokens = 3, .ignore_eos = true}});
    std::vector<std::optional<FinishReason>> reasons;
    engine.run_until_idle([&](const TokenEvent& event) { reasons.push_back(event.finish); });
    ASSERT_EQ(reasons.size(), 3u);
    EXPECT_FALSE(reasons[1].has_value());
    EXPECT_EQ(reasons[2], FinishReason::length);
  });
}

TEST(Engine, StopIdsEndAnAnswerWithoutTheirText) {
  const Request request{.id = 1, .prompt = {65, 66}, .options = {.max_tokens = 8}};
  const std::vector<TokenId> free = test::answers({}, {request}).at(1);
  Request stopped = request;
  stopped.options.stop_ids = {free[2]};
  test::with_engine({}, [&](Engine& engine) {
    engine.submit(stopped);
    std::optional<FinishReason> reason;
    TokenId last = -1;
    engine.run_until_idle([&](const TokenEvent& event) {
      reason = event.finish;
      last = event.token;
    });
    EXPECT_EQ(reason, FinishReason::stop);
    EXPECT_EQ(last, free[2]);
  });
}

TEST(Engine, ACancelledRequestEndsAtTheNextStep) {
  test::with_engine({.ranks = 2}, [](Engine& engine) {
    engine.submit({.id = 1, .prompt = {65}, .options = {.max_tokens = 50, .ignore_eos = true}});
    int tokens = 0;
    std::optional<FinishReason> reason;
    engine.run_until_idle([&](const TokenEvent& event) {
      tokens += event.token >= 0 ? 1 : 0;
      reason = event.finish;
      if (tokens == 2) {
        engine.cancel(1);
      }
    });
    EXPECT_EQ(tokens, 2);
    EXPECT_EQ(reason, FinishReason::cancelled);
  });
}

// Breaks before it meets the other ranks.
class BrokenModel final : public Model {
 public:
  StepOutput forward(const StepPlan&, KvCache&) override { throw std::bad_alloc(); }
  void wait(DeviceEvent&) override {}
  bool samples() const override { return false; }
  Device& device() override { return *device_; }
  KvLayout kv_layout() const override { return {.layers = 1, .kv_heads = 1, .head_dim = 8}; }
  std::int64_t vocabulary() const override { return 259; }
  std::int64_t context_length() const override { return 64; }
  int max_step_tokens() const override { return 16; }
  int max_logit_rows() const override { return 1; }
  std::size_t weight_bytes() const override { return 0; }
  std::size_t workspace_bytes() const override { return 0; }

 private:
  std::unique_ptr<Device> device_ = make_host_device(1);
};

// stop() would then be a broadcast that the others, who wait in a collective, never take.
TEST(Engine, KnowsThatItFailedAmongTheOtherRanks) {
  run_ranks(1, [](int, Communicator&, ControlPlane& control) {
    BrokenModel model;
    KvCache cache(model.device(), model.kv_layout(), 4);
    const test::ByteTokenizer tokenizer;
    Engine engine(control, model, cache, tokenizer);
    engine.submit({.id = 1, .prompt = {65}});
    EXPECT_FALSE(engine.mid_step());
    EXPECT_THROW(engine.step([](const TokenEvent&) {}), std::bad_alloc);
    EXPECT_TRUE(engine.mid_step());
  });
}

TEST(Engine, CanBeStoppedWhereTheSinkThrew) {
  test::with_engine({.ranks = 2}, [](Engine& engine) {
    engine.submit({.id = 1, .prompt = {65}, .options = {.max_tokens = 3, .ignore_eos = true}});
    EXPECT_THROW(engine.step([](const TokenEvent&) { throw Error("no room for the answer"); }),
                 Error);
    EXPECT_FALSE(engine.mid_step());
  });
}

TEST(Engine, RefusesPromptsThatCannotBeAnswered) {
  test::with_engine({}, [](Engine& engine) {
    EXPECT_THAT([&] { engine.submit({.id = 1}); }, ThrowsMessage<ConfigError>(HasSubstr("empty")));
    EXPECT_THAT([&] { engine.submit({.id = 1, .prompt = std::vector<TokenId>(256, 1)}); },
                ThrowsMessage<ConfigError>(HasSubstr("context is 256 tokens")));
    EXPECT_THAT([&] { engine.submit({.id = 1, .prompt = {259}}); },
                ThrowsMessage<ConfigError>(HasSubstr("vocabulary has 259 rows")));
  });
}

}  // namespace
}  // namespace tutti
