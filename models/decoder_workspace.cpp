#include "models/decoder_workspace.hpp"

#include <algorithm>

#include "kernels/gemm.hpp"
#include "kernels/sample_penalty.hpp"

namespace tutti {
namespace {

constexpr const char* kName = "the workspace";

// Of the MLP that all tokens go through.
std::int64_t mlp_columns(const DecoderSpec& spec, const RankShare& share) {
  return spec.experts > 0 ? share.shared_ffn.size() : share.ffn.size();
}

ExpertExtents expert_extents(const DecoderSpec& spec, const RankShare& share,
                             const ModelLimits& limits) {
  return {.tokens = limits.max_step_tokens,
          .hidden = spec.hidden,
          .all = spec.experts,
          .experts = share.experts.size(),
          .columns = share.ffn.size(),
          .per_token = spec.experts_per_token,
          .layers = share.layers.size()};
}

Tensor shared_tensor(Device& device, Communicator& group, DType dtype, std::int64_t rows,
                     std::int64_t columns) {
  const std::size_t bytes = static_cast<std::size_t>(rows * columns) * size_of(dtype);
  return Tensor(group.allocate_shared(device, bytes, kName), device.place(), dtype,
                {rows, columns});
}

}  // namespace

DecoderWorkspace::DecoderWorkspace(Device& device, Communicator& group, const DecoderSpec& spec,
                                   const RankShare& share, const ModelLimits& limits, DType dtype) {
  const std::int64_t tokens = limits.max_step_tokens;
  const std::int64_t wanted = limits.max_logit_rows;
  const std::int64_t q_columns = share.q_heads.size() * spec.head_dim;
  const std::int64_t kv_columns = share.kv_heads.size() * spec.head_dim;
  const bool on_device = device.place() != Place::host;
  const std::int64_t slots = on_device ? wanted : 0;
  const auto make = [&](DType type, std::int64_t rows, std::int64_t columns) {
    return Tensor(device, type, {rows, columns}, kName);
  };
  residual = make(DType::f32, tokens, spec.hidden);
  x = shared_tensor(device, group, dtype, tokens, spec.hidden);
  qkv = make(dtype, tokens, q_columns + 2 * kv_columns);
  mix = make(dtype, tokens, q_columns);
  side = make(DType::f32, spec.parallel ? tokens : 0, spec.hidden);
  squares = make(DType::f32, spec.qk_norm == QkNorm::projection ? tokens : 0, 2);
  gate_up = make(dtype, spec.gated ? tokens : 0, 2 * mlp_columns(spec, share));
  gated = make(dtype, tokens, mlp_columns(spec, share));
  experts = ExpertBuffers(device, expert_extents(spec, share, limits), dtype, kName);
  last = make(dtype, wanted, spec.hidden);
  local_logits = make(DType::f32, wanted, share.vocabulary.size());
  logits = make(DType::f32, on_device || group.rank() == 0 ? wanted : 0, spec.vocabulary);
  scratch = make(DType::f32, 1,
                 on_device ? 0 : decoder_scratch_floats(spec, share, device.exec().threads));
  ids = Tensor(device, DType::i32, {slots}, kName);
  last_ids = Tensor(device, DType::i32, {slots}, kName);
  tallies = make(DType::i32, slots, tally_words(spec.vocabulary));
  biases = Tensor(device, DType::i32, {slots, kSampleMostBiases, 2}, kName);
  for (const Tensor* tensor : {&last_ids, &tallies, &biases}) {
    if (tensor->bytes() > 0) {
      device.fill_zero(tensor->view().data, tensor->bytes());
    }
  }
}

std::int64_t decoder_scratch_floats(const DecoderSpec& spec, const RankShare& share, int threads) {
  std::size_t bytes = 0;
  for (const std::int64_t in : {spec.hidden, share.q_heads.size() * spec.head_dim, share.ffn.size(),
                                share.shared_ffn.size()}) {
    bytes = std::max(bytes, gemm_scratch_bytes(in, threads));
  }
  return static_cast<std::int64_t>(bytes / sizeof(float)) + 1;
}

std::uint64_t decoder_workspace_bytes(const DecoderSpec& spec, const RankShare& share,
                                      const ModelLimits& limits, DType dtype) {
  const std::int64_t tokens = limits.max_step_tokens;
  const std::int64_t wanted = limits.max_logit_rows;
  const std::int64_t heads = 2 * (share.q_heads.size() + share.kv_heads.size());  // qkv and mix
  const std::int64_t activations = tokens * (spec.hidden + heads * spec.head_dim +
                                             (spec.gated ? 3 : 1) * mlp_columns(spec, share)) +
                                   wanted * spec.hidden;
  const std::int64_t squares = spec.qk_norm == QkNorm::projection ? 2 : 0;
  const std::int64_t side = spec.parallel ? spec.hidden : 0;
  const std::int64_t words = tokens * (spec.hidden + squares + side) +
                             wanted * (share.vocabulary.size() + spec.vocabulary) +
                             wanted * (2 + tally_words(spec.vocabulary) + 2 * kSampleMostBiases);
  return static_cast<std::uint64_t>(activations) * size_of(dtype) +
         static_cast<std::uint64_t>(words) * 4 +
         ExpertBuffers::bytes(expert_extents(spec, share, limits), dtype);
}

std::size_t DecoderWorkspace::bytes() const {
  std::size_t sum = experts.bytes();
  for (const Tensor* tensor :
       {&residual, &x, &side, &qkv, &mix, &squares, &gate_up, &gated, &last, &local_logits, &logits,
        &scratch, &ids, &last_ids, &tallies, &biases}) {
    sum += tensor->bytes();
  }
  return sum;
}

}  // namespace tutti
