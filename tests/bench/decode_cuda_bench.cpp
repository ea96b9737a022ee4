// A whole decode step of a model made of random weights, as the device alone sees it: what is lost
// between its kernels, under each way of letting them overlap.
//
//     decode_cuda_bench SHAPE [batch …]        default: 1 16
#include <cstdlib>

#include "kernels/device_ops.hpp"
#include "models/registry.hpp"
#include "models/shapes.hpp"
#include "runtime/comm/local_communicator.hpp"
#include "runtime/weights/random_weights.hpp"
#include "tests/bench/device_bench.hpp"

namespace tutti::bench {
namespace {

constexpr int kContext = 192;
constexpr int kSteps = 24;

StepPlan plan_of(int batch, int page_size) {
  StepPlan plan;
  const int blocks = (kContext + page_size - 1) / page_size;
  plan.query_begin.push_back(0);
  plan.max_blocks = blocks;
  for (int s = 0; s < batch; ++s) {
    plan.token_ids.push_back(1 + s);
    plan.positions.push_back(kContext - 1);
    plan.sources.push_back(-1);
    plan.slots.push_back((s * blocks + blocks - 1) * page_size + (kContext - 1) % page_size);
    plan.query_begin.push_back(s + 1);
    plan.context_length.push_back(kContext);
    plan.logit_rows.push_back(s);
    for (int block = 0; block < blocks; ++block) {
      plan.block_table.push_back(s * blocks + block);
    }
    const SampleRowRule rule{.temperature = 0, .slot = s};
    std::array<std::int32_t, kSampleRuleWords> words;
    std::memcpy(words.data(), static_cast<const void*>(&rule), sizeof rule);
    plan.rules.insert(plan.rules.end(), words.begin(), words.end());
  }
  return plan;
}

double milliseconds_of_step(Device& device, const DecoderSpec& spec, const WeightSource& weights,
                            int batch) {
  const ShardPlan shares(spec.shard_shape(), 1);
  LocalCommunicator alone;
  const auto model = make_model(spec, shares, device, alone, weights, {.max_step_tokens = 64});
  KvCache cache(device, model->kv_layout(), batch * (kContext / 16 + 1));
  const StepPlan plan = plan_of(batch, cache.layout().page_size);
  model->forward(plan, cache);
  model->forward(plan, cache);
  const auto start = device.make_event();
  const auto end = device.make_event();
  std::vector<float> times;
  for (int repeat = 0; repeat < 5; ++repeat) {
    start->record();
    for (int step = 0; step < kSteps; ++step) {
      model->forward(plan, cache);
    }
    end->record();
    end->wait();
    times.push_back(end->milliseconds_since(*start) / kSteps);
  }
  std::nth_element(times.begin(), times.begin() + 2, times.end());
  return times[2];
}

void run(Device& device, const std::string& shape, const std::vector<int>& batches) {
  const DecoderSpec spec = load_shape(shape);
  const RandomWeights weights(7, DType::bf16);
  struct Way {
    const char* name;
    GemmTuning tuning;
  };
  const std::vector<Way> ways = {{"default", {}},
                                 {"release 24", {.release_ahead = 24}},
                                 {"release 0", {.release_ahead = 0}},
                                 {"prefetch 0", {.prefetch_bytes = 0}},
                                 {"prefetch 128 KiB", {.prefetch_bytes = 128 << 10}},
                                 {"one after another", {.dependent_launch = false}}};
  for (const int batch : batches) {
    for (const Way& way : ways) {
      device.exec().ops->tune(way.tuning);
      const double ms = milliseconds_of_step(device, spec, weights, batch);
      fmt::print("{} batch {:>2} {:<20} {:>8.3f} ms a step, {:>8.1f} tok/s\n", shape, batch,
                 way.name, ms, 1e3 * batch / ms);
      std::fflush(stdout);
    }
  }
  device.exec().ops->tune({});
}

}  // namespace
}  // namespace tutti::bench

int main(int argc, char** argv) {
  const tutti::testing::Gpu gpu = tutti::testing::Gpu::open();
  if (!gpu.device || argc < 2) {
    fmt::print("{}\n", gpu.device ? "decode_cuda_bench SHAPE [batch ...]" : gpu.why_not);
    return 0;
  }
  std::vector<int> batches;
  for (int i = 2; i < argc; ++i) {
    batches.push_back(std::atoi(argv[i]));
  }
  tutti::bench::run(*gpu.device, argv[1], batches.empty() ? std::vector{1, 16} : batches);
}
