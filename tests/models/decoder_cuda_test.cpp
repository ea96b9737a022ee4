// The whole decoder on a GPU against its host twin: logits within roundings, the same tokens, and
// answers that do not depend on graphs or on who shares the batch.
#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "kernels/error.hpp"
#include "models/registry.hpp"
#include "runtime/comm/local_communicator.hpp"
#include "runtime/engine/engine.hpp"
#include "runtime/weights/random_weights.hpp"
#include "tests/support/gpu_fixture.hpp"
#include "tests/support/random_model.hpp"

namespace tutti {
namespace {

// Large enough that every kernel takes the path of real models: 4 query heads a KV head, heads of
// 128, more than one block of everything.
DecoderSpec middle_spec() {
  DecoderSpec spec = test::small_spec();
  spec.layers = 3;
  spec.hidden = 1024;
  spec.q_heads = 8;
  spec.kv_heads = 2;
  spec.head_dim = 128;
  spec.ffn = 2816;
  spec.vocabulary = 4001;
  spec.context_length = 1024;
  return spec;
}

struct Case {
  const char* name;
  DecoderSpec spec;
  DType dtype;
};
// Test names hold it.
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

class Alone : public ControlPlane {  // a group of one
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void broadcast(std::vector<std::byte>&, int) override {}
  std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> bytes) override {
    return {{bytes.begin(), bytes.end()}};
  }
  void barrier() override {}
};

// One model on one device.
class Runner {
 public:
  Runner(Device& device, const Case& c, const ModelLimits& limits)
      : device_(device), plan_(c.spec.shard_shape(), 1), weights_(5, c.dtype) {
    model_ = make_model(c.spec, plan_, device, group_, weights_, limits);
    cache_ = std::make_unique<KvCache>(device, model_->kv_layout(), 256);
  }

  // Logits after each of `ids`, the first `prompt` of them in one step, then one at a time.
  std::vector<std::vector<float>> logits(const std::vector<std::int32_t>& ids, int prompt) {
    std::vector<std::vector<float>> rows;
    for (int first = 0; first < static_cast<int>(ids.size());) {
      const int count = first == 0 ? prompt : 1;
      const StepOutput output = model_->forward(plan_of(ids, first, count), *cache_);
      rows.push_back(testing_floats(output.logits));
      first += count;
    }
    return rows;
  }

  // At the same address, with other memory.
  void replace_cache(int pages) {
    const KvCache kept(device_, model_->kv_layout(), pages + 1);
    *cache_ = KvCache(device_, model_->kv_layout(), pages);
  }

  std::map<std::uint64_t, std::vector<TokenId>> answers(const std::vector<Request>& requests) {
    Alone control;
    const test::ByteTokenizer tokenizer;
    Engine engine(control, *model_, *cache_, tokenizer);
    for (const Request& request : requests) {
      engine.submit(request);
    }
    std::map<std::uint64_t, std::vector<TokenId>> tokens;
    engine.run_until_idle(
        [&](const TokenEvent& event) { tokens[event.request].push_back(event.token); });
    return tokens;
  }

 private:
  std::vector<float> testing_floats(const TensorView& view) {
    std::vector<float> values(static_cast<std::size_t>(view.elements()));
    device_.copy_out(values.data(), view.data, view.bytes());
    device_.synchronize();
    return values;
  }

  // One sequence on pages 3, 4, 5, …
  StepPlan plan_of(const std::vector<std::int32_t>& ids, int first, int count) const {
    const int page = cache_->layout().page_size;
    StepPlan plan;
    for (int i = first; i < first + count; ++i) {
      plan.token_ids.push_back(ids[static_cast<std::size_t>(i)]);
      plan.positions.push_back(i);
      plan.sources.push_back(-1);
      plan.slots.push_back((3 + i / page) * page + i % page);
    }
    plan.query_begin = {0, count};
    plan.context_length = {first + count};
    plan.max_blocks = (first + count + page - 1) / page;
    for (int block = 0; block < plan.max_blocks; ++block) {
      plan.block_table.push_back(3 + block);
    }
    plan.logit_rows = {count - 1};
    return plan;
  }

  Device& device_;
  ShardPlan plan_;
  LocalCommunicator group_;
  RandomWeights weights_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<KvCache> cache_;
};

std::vector<std::int32_t> some_ids(int count, std::int64_t vocabulary) {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < count; ++i) {
    ids.push_back(static_cast<std::int32_t>((i * 7919 + 13) % vocabulary));
  }
  return ids;
}

std::vector<Request> some_requests(int count, std::int64_t vocabulary, int tokens) {
  std::vector<Request> requests;
  for (int i = 0; i < count; ++i) {
    Request request{.id = static_cast<std::uint64_t>(i), .stream = static_cast<std::uint64_t>(i)};
    request.prompt = some_ids(5 + 11 * i % 70, vocabulary);
    request.prompt[0] = i;
    request.options.max_tokens = tokens;
    request.options.ignore_eos = true;
    requests.push_back(request);
  }
  return requests;
}

class DecoderCuda : public testing::GpuTest, public ::testing::WithParamInterface<Case> {
 protected:
  static constexpr ModelLimits kLimits{.max_step_tokens = 128, .max_logit_rows = 16};
};

// Each of the layers' seven products and norms rounds what it hands on, relatively by u, and each
// rounding ends in the logits like noise of that share of their size; six standard deviations, and
// twice that for the products' own inner roundings.
TEST_P(DecoderCuda, LogitsAreThoseOfTheHostButForRoundings) {
  const Case& c = GetParam();
  const auto host = make_host_device(8);
  const std::vector<std::int32_t> ids = some_ids(40, c.spec.vocabulary);
  const auto wanted = Runner(*host, c, kLimits).logits(ids, 33);
  const auto found = Runner(device(), c, kLimits).logits(ids, 33);
  ASSERT_EQ(wanted.size(), found.size());
  double worst = 0;
  for (std::size_t row = 0; row < wanted.size(); ++row) {
    double squares = 0;
    for (const float x : wanted[row]) {
      squares += double{x} * x;
    }
    const double rms = std::sqrt(squares / static_cast<double>(wanted[row].size()));
    const double noise =
        testing::unit_roundoff(c.dtype) * std::sqrt(7.0 * static_cast<double>(c.spec.layers) + 3);
    const double tolerance = 12 * noise * rms;
    for (std::size_t i = 0; i < wanted[row].size(); ++i) {
      const double error = std::abs(double{wanted[row][i]} - found[row][i]);
      worst = std::max(worst, error / tolerance);
      ASSERT_LE(error, tolerance) << "row " << row << ", id " << i << ": wanted " << wanted[row][i]
                                  << ", found " << found[row][i];
    }
  }
  RecordProperty("worst_share_of_tolerance", std::to_string(worst));
}

TEST_P(DecoderCuda, GraphsAnswerAsLaunchesDo) {
  const Case& c = GetParam();
  const auto requests = some_requests(5, c.spec.vocabulary, 24);
  ModelLimits launches = kLimits;
  launches.graphs = false;
  EXPECT_EQ(Runner(device(), c, kLimits).answers(requests),
            Runner(device(), c, launches).answers(requests));
}

TEST_P(DecoderCuda, AnotherCacheIsRecordedAnew) {
  const Case& c = GetParam();
  const std::vector<std::int32_t> ids = some_ids(40, c.spec.vocabulary);
  Runner runner(device(), c, kLimits);
  const auto once = runner.logits(ids, 33);
  runner.replace_cache(64);
  EXPECT_EQ(runner.logits(ids, 33), once);
}

TEST_P(DecoderCuda, ASeededDrawAndPenaltiesRunOnTheDevice) {
  const Case& c = GetParam();
  auto requests = some_requests(3, c.spec.vocabulary, 16);
  requests[0].options.temperature = 0.9;
  requests[0].options.top_p = 0.9;
  requests[1].options.repetition_penalty = 1.3;
  requests[2].options.temperature = 1.1;
  requests[2].options.top_k = 40;
  requests[2].options.repetition_penalty = 1.2;
  Runner runner(device(), c, kLimits);
  const auto once = runner.answers(requests);
  EXPECT_EQ(once, runner.answers(requests));
  for (const auto& [id, tokens] : once) {
    EXPECT_EQ(tokens.size(), 16u) << id;
  }
  if (c.dtype == DType::f32) {
    const auto host = make_host_device(8);
    EXPECT_EQ(once, Runner(*host, c, kLimits).answers(requests));
  }
}

// Asked for logprobs, the host draws, from the same bits of the device's logits.
TEST_P(DecoderCuda, RulesGiveTheSameTokensOnTheDeviceAndTheHost) {
  const Case& c = GetParam();
  auto requests = some_requests(4, c.spec.vocabulary, 40);
  Runner runner(device(), c, kLimits);
  const auto plain = runner.answers(requests);
  requests[0].options.presence_penalty = 1.15;
  requests[1].options.frequency_penalty = 0.4;
  requests[1].options.repetition_penalty = 1.2;
  requests[2].options.stop_ids = {plain.at(2)[0]};
  requests[2].options.min_tokens = 5;
  for (TokenId id = 0; id < 40; ++id) {
    requests[3].options.logit_bias.push_back({6 * id, 0.25F * static_cast<float>(id % 7)});
  }
  requests[3].options.logit_bias.push_back({plain.at(3)[1], -1e5F});
  requests[3].options.presence_penalty = 0.3;
  requests[3].options.stop_ids = {plain.at(3)[0]};
  requests[3].options.min_tokens = 40;
  for (Request& request : requests) {
    const auto on_device = runner.answers({request});
    request.options.logprobs = 0;
    EXPECT_EQ(runner.answers({request}), on_device) << "request " << request.id;
    const std::vector<TokenId>& tokens = on_device.at(request.id);
    for (std::size_t i = 0; i < tokens.size() && request.id >= 2; ++i) {
      const bool early = static_cast<int>(i) < request.options.min_tokens;
      EXPECT_FALSE(early && tokens[i] == request.options.stop_ids[0]) << "token " << i;
    }
    EXPECT_GT(tokens.size(), 5u) << "request " << request.id;
  }
}

TEST_P(DecoderCuda, ARequestWithLogprobsIsDrawnBesideTheOthers) {
  const Case& c = GetParam();
  auto requests = some_requests(3, c.spec.vocabulary, 12);
  Runner runner(device(), c, kLimits);
  const auto plain = runner.answers(requests);
  requests[1].options.logprobs = 3;
  EXPECT_EQ(runner.answers(requests), plain);
}

TEST_P(DecoderCuda, GreedyTokensInF32AreTheHosts) {
  const Case& c = GetParam();
  if (c.dtype != DType::f32) {
    GTEST_SKIP() << "16-bit activations may differ where two logits nearly tie";
  }
  const auto host = make_host_device(8);
  const auto requests = some_requests(9, c.spec.vocabulary, 32);
  EXPECT_EQ(Runner(device(), c, kLimits).answers(requests),
            Runner(*host, c, kLimits).answers(requests));
}

INSTANTIATE_TEST_SUITE_P(Models, DecoderCuda,
                         ::testing::Values(Case{"small_f32", test::small_spec(), DType::f32},
                                           Case{"small_bf16", test::small_spec(), DType::bf16},
                                           Case{"mixture_f32", test::mixture_spec(), DType::f32},
                                           Case{"middle_f32", middle_spec(), DType::f32},
                                           Case{"middle_f16", middle_spec(), DType::f16},
                                           Case{"middle_bf16", middle_spec(), DType::bf16}),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace tutti
