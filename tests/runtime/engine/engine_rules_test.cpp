// The rules of requests through the whole engine: a model that samples by rules and slots, as
// devices do, must give the answers of one whose tokens the engine draws.
#include <gmock/gmock.h>

#include <random>
#include <set>

#include "kernels/error.hpp"
#include "runtime/comm/thread_group.hpp"
#include "runtime/engine/engine.hpp"
#include "tests/support/byte_tokenizer.hpp"
#include "tests/support/logit_model.hpp"

namespace tutti {
namespace {

using test::ByteTokenizer;
using test::LogitModel;

constexpr TokenId kEos = ByteTokenizer::kEos;

struct Heard {
  std::vector<TokenId> tokens;
  std::optional<FinishReason> finish;
  friend bool operator==(const Heard&, const Heard&) = default;
};
void PrintTo(const Heard& heard, std::ostream* out) {
  *out << ::testing::PrintToString(heard.tokens)
       << (heard.finish ? name_of(*heard.finish) : "unfinished");
}
using Answers = std::map<std::uint64_t, Heard>;

Answers answers(const std::vector<Request>& requests, bool samples, int rows = 5,
                int step_tokens = 24) {
  Answers heard;
  run_ranks(1, [&](int, Communicator&, ControlPlane& control) {
    LogitModel model(samples, step_tokens, rows);
    KvCache cache(model.device(), model.kv_layout(), 40);
    const ByteTokenizer tokenizer;
    Engine engine(control, model, cache, tokenizer);
    for (const Request& request : requests) {
      engine.submit(request);
    }
    engine.run_until_idle([&](const TokenEvent& event) {
      heard[event.request].tokens.push_back(event.token);
      heard[event.request].finish = event.finish;
    });
    engine.stop();
  });
  return heard;
}

Request request_of(std::uint64_t id) {
  Request request{.id = id, .stream = id};
  for (std::uint64_t i = 0; i < 1 + id * 7 % 40; ++i) {
    request.prompt.push_back(static_cast<TokenId>((id * 31 + i * i) % 40));
  }
  request.options = {.seed = id, .max_tokens = 30};
  return request;
}

class RandomOptions {
 public:
  explicit RandomOptions(unsigned seed) : generator_(seed) {}

  SamplingOptions next() {
    SamplingOptions options{.seed = generator_(), .max_tokens = 1 + below(40)};
    options.temperature = below(3) == 0 ? 0 : 0.5 + 0.1 * below(10);
    options.top_k = below(3) == 0 ? 1 + below(30) : 0;
    options.top_p = below(3) == 0 ? 0.3 + 0.1 * below(7) : 1;
    options.repetition_penalty = below(3) == 0 ? 0.7 + 0.1 * below(10) : 1;
    options.presence_penalty = below(3) == 0 ? -1 + 0.3 * below(9) : 0;
    options.frequency_penalty = below(3) == 0 ? -0.2 + 0.1 * below(9) : 0;
    options.min_tokens = below(2) == 0 ? below(20) : 0;
    options.ignore_eos = below(6) == 0;
    for (int i = below(2) == 0 ? below(30) : 0; i > 0; --i) {
      options.logit_bias.push_back(
          {below(LogitModel::kVocabulary),
           below(4) == 0 ? -std::numeric_limits<float>::infinity() : 0.77F * float(below(9) - 4)});
    }
    for (int i = below(3); i > 0; --i) {
      options.stop_ids.push_back(below(LogitModel::kVocabulary + 20));
    }
    if (below(8) == 0) {
      options.logprobs = below(3);
    }
    return options;
  }

 private:
  int below(int n) { return static_cast<int>(generator_() % static_cast<unsigned>(n)); }
  std::mt19937 generator_;
};

TEST(EngineRules, ADeviceAnswersWhatTheHostAnswers) {
  for (unsigned seed = 0; seed < 6; ++seed) {
    RandomOptions random(seed);
    std::vector<Request> requests;
    for (std::uint64_t id = 0; id < 40; ++id) {
      requests.push_back(request_of(id));
      requests.back().options = random.next();
    }
    const Answers wanted = answers(requests, false);
    EXPECT_EQ(wanted.size(), requests.size());
    EXPECT_EQ(answers(requests, true), wanted) << seed;
    EXPECT_EQ(answers(requests, true, 1, 7), wanted) << seed;
    EXPECT_EQ(answers(requests, true, 12, 60), wanted) << seed;
  }
}

TEST(EngineRules, NoEndComesBeforeMinTokens) {
  std::vector<Request> requests;
  for (std::uint64_t id = 0; id < 12; ++id) {
    requests.push_back(request_of(id));
    requests.back().options.min_tokens = static_cast<int>(id);
    requests.back().options.stop_ids = {3};
    requests.back().options.logit_bias = {{kEos, 30}, {3, 30}};
  }
  for (const bool samples : {false, true}) {
    for (const auto& [id, heard] : answers(requests, samples)) {
      EXPECT_EQ(heard.tokens.size(), id + 1) << "the first token that may end it does";
      EXPECT_EQ(heard.finish, FinishReason::stop);
    }
  }
}

TEST(EngineRules, AHeavyPresencePenaltyNeverSaysAnythingTwice) {
  std::vector<Request> requests;
  for (std::uint64_t id = 0; id < 8; ++id) {
    requests.push_back(request_of(id));
    requests.back().options.presence_penalty = 1000;
    requests.back().options.ignore_eos = true;
  }
  for (const bool samples : {false, true}) {
    for (const auto& [id, heard] : answers(requests, samples)) {
      EXPECT_EQ(std::set(heard.tokens.begin(), heard.tokens.end()).size(), 30u) << id;
    }
  }
}

// More biases than a slot of the device holds: the host draws.
TEST(EngineRules, AnyNumberOfBiasesIsTaken) {
  std::vector<Request> requests = {request_of(1), request_of(2)};
  std::vector<LogitBias>& biases = requests[0].options.logit_bias;
  for (TokenId id = 0; id < LogitModel::kVocabulary; ++id) {
    if (id % 50 != 7) {
      biases.push_back({id, -std::numeric_limits<float>::infinity()});
    }
  }
  ASSERT_GT(std::ssize(biases), kSampleMostBiases);
  const Answers heard = answers(requests, true);
  EXPECT_EQ(heard, answers(requests, false));
  EXPECT_THAT(heard.at(1).tokens,
              ::testing::Each(::testing::ResultOf([](TokenId id) { return id % 50; }, 7)));
}

TEST(EngineRules, ARequestWhoseOptionsCannotBeIsRefusedAndLeavesNoTrace) {
  run_ranks(1, [&](int, Communicator&, ControlPlane& control) {
    LogitModel model(true, 16, 2);
    KvCache cache(model.device(), model.kv_layout(), 8);
    const ByteTokenizer tokenizer;
    Engine engine(control, model, cache, tokenizer);
    Request request = request_of(1);
    request.options.logit_bias = {{LogitModel::kVocabulary, 1}};
    EXPECT_THROW(engine.submit(request), ConfigError);
    EXPECT_TRUE(engine.idle());
    request.options.logit_bias.clear();
    engine.submit(request);
    engine.run_until_idle([](const TokenEvent&) {});
  });
}

}  // namespace
}  // namespace tutti
