// Small models made of hashed weights, on thread ranks: what invariance tests run.
#pragma once

#include <memory>
#include <mutex>

#include "models/registry.hpp"
#include "runtime/comm/thread_group.hpp"
#include "runtime/engine/engine.hpp"
#include "runtime/weights/random_weights.hpp"
#include "tests/support/byte_tokenizer.hpp"

namespace tutti::test {

// 9 query heads on 3 KV heads, an odd FFN, room for the byte tokenizer.
inline DecoderSpec small_spec() {
  DecoderSpec spec;
  spec.architecture = "llama";
  spec.layers = 2;
  spec.hidden = 72;
  spec.q_heads = 9;
  spec.kv_heads = 3;
  spec.head_dim = 8;
  spec.ffn = 200;
  spec.vocabulary = 259;
  spec.context_length = 256;
  return spec;
}

// The same as a mixture of seven experts, of which a token takes three, beside a shared MLP.
inline DecoderSpec mixture_spec() {
  DecoderSpec spec = small_spec();
  spec.architecture = "qwen2_moe";
  spec.ffn = 40;
  spec.experts = 7;
  spec.experts_per_token = 3;
  spec.renormalise_experts = false;
  spec.shared_ffn = 50;
  return spec;
}

struct EngineRun {
  DecoderSpec spec = small_spec();
  int ranks = 1;
  int pages = 64;
  ModelLimits limits{.max_step_tokens = 64, .max_logit_rows = 8};
  EngineOptions options{};
};

// Runs `drive` on rank 0's engine while the other ranks follow.
inline void with_engine(const EngineRun& run, const std::function<void(Engine&)>& drive) {
  const ShardPlan plan(run.spec.shard_shape(), run.ranks);
  run_ranks(run.ranks, [&](int rank, Communicator& group, ControlPlane& control) {
    const auto device = make_host_device(1);
    const RandomWeights weights(11, DType::f32);
    const auto model = make_model(run.spec, plan, *device, group, weights, run.limits);
    KvCache cache(*device, model->kv_layout(), run.pages);
    if (rank != 0) {
      follow(control, *model, cache);
      return;
    }
    const ByteTokenizer tokenizer;
    Engine engine(control, *model, cache, tokenizer, run.options);
    drive(engine);
    engine.stop();
  });
}

// The answers' tokens by request.
inline std::map<std::uint64_t, std::vector<TokenId>> answers(const EngineRun& run,
                                                             const std::vector<Request>& requests) {
  std::map<std::uint64_t, std::vector<TokenId>> tokens;
  with_engine(run, [&](Engine& engine) {
    for (const Request& request : requests) {
      engine.submit(request);
    }
    engine.run_until_idle(
        [&](const TokenEvent& event) { tokens[event.request].push_back(event.token); });
  });
  return tokens;
}

}  // namespace tutti::test
