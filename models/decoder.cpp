#include "models/decoder.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/embedding.hpp"
#include "kernels/error.hpp"
#include "kernels/gemm.hpp"
#include "kernels/rmsnorm.hpp"
#include "models/decoder_weights.hpp"

namespace tutti {
namespace {

std::vector<std::int64_t> vocabulary_rows(const ShardPlan& plan) {
  std::vector<std::int64_t> rows;
  for (int rank = 0; rank < plan.ranks(); ++rank) {
    rows.push_back(plan.share(rank).vocabulary.size());
  }
  return rows;
}

Tensor local_kv_map(Device& device, const RankShare& share) {
  const std::vector<std::int32_t> map(share.kv_of_q.begin(), share.kv_of_q.end());
  return Tensor::of(device, map, "the map of query to KV heads");
}

Tensor frequencies(Device& device, const DecoderSpec& spec) {
  return Tensor::of(
      device,
      rotary_frequencies(static_cast<int>(spec.head_dim), spec.rope_theta, spec.rope_scaling),
      "the rotary frequencies");
}

// Host kernels only read the plan's arrays, so that views of them need no copy.
TensorView view_of(const std::vector<std::int32_t>& array,
                   std::initializer_list<std::int64_t> shape) {
  return {const_cast<std::int32_t*>(array.data()), DType::i32, Place::host, shape};
}

}  // namespace

Decoder::Decoder(const DecoderSpec& spec, const ShardPlan& plan, Device& device,
                 Communicator& group, WeightLoader& loader, const ModelLimits& limits)
    : spec_(spec),
      limits_(limits),
      share_(plan.share(group.rank())),
      attention_{.q_heads = static_cast<int>(share_.q_heads.size()),
                 .kv_heads = static_cast<int>(share_.kv_heads.size()),
                 .head_dim = static_cast<int>(spec.head_dim)},
      kv_of_q_(local_kv_map(device, share_)),
      inv_freq_(frequencies(device, spec)),
      embedding_table_(load_table(loader, "embedding", spec, share_.vocabulary)),
      head_table_(spec.tied_head ? Tensor() : load_table(loader, "head", spec, share_.vocabulary)),
      final_norm_(load_norm(loader, "final_norm", spec.hidden)),
      embedding_(embedding_table_.view(), share_.vocabulary.begin, group),
      head_(spec.tied_head ? embedding_table_.view() : head_table_.view(), vocabulary_rows(plan),
            group) {
  weight_bytes_ = embedding_table_.bytes() + head_table_.bytes() + final_norm_.bytes();
  for (std::int64_t i = share_.layers.begin; i < share_.layers.end; ++i) {
    layers_.push_back(load_layer(loader, group, i));
    const Layer& layer = layers_.back();
    weight_bytes_ += layer.attention.bytes() + layer.mlp.bytes() + layer.attention_norm.bytes() +
                     layer.mlp_norm.bytes();
  }
  workspace_ = make_workspace(device, group.rank() == 0);
  for (const Tensor* tensor :
       {&workspace_.residual, &workspace_.x, &workspace_.qkv, &workspace_.mix, &workspace_.gate_up,
        &workspace_.gated, &workspace_.last, &workspace_.local_logits, &workspace_.logits,
        &workspace_.scratch}) {
    workspace_bytes_ += tensor->bytes();
  }
}

Decoder::Layer Decoder::load_layer(WeightLoader& loader, Communicator& group,
                                   std::int64_t index) const {
  const std::string layer = fmt::format("layers.{}.", index);
  return {.attention_norm = load_norm(loader, layer + "attention_norm", spec_.hidden),
          .attention = {ColumnParallelLinear(load_qkv(loader, layer, spec_, share_)),
                        RowParallelLinear(
                            load_row_parallel(loader, layer + "attention.o",
                                              spec_.q_heads * spec_.head_dim,
                                              head_rows(share_.q_heads, spec_), spec_.hidden),
                            group)},
          .mlp_norm = load_norm(loader, layer + "mlp_norm", spec_.hidden),
          .mlp = {ColumnParallelLinear(load_gate_up(loader, layer, spec_, share_)),
                  RowParallelLinear(load_row_parallel(loader, layer + "mlp.down", spec_.ffn,
                                                      share_.ffn, spec_.hidden),
                                    group)}};
}

Decoder::Workspace Decoder::make_workspace(Device& device, bool root) const {
  const std::int64_t tokens = limits_.max_step_tokens;
  const std::int64_t wanted = limits_.max_logit_rows;
  const auto make = [&](std::int64_t rows, std::int64_t columns) {
    return Tensor(device, DType::f32, {rows, columns}, "the workspace");
  };
  std::size_t scratch = 0;
  for (const std::int64_t in : {spec_.hidden, attention_.q_columns(), share_.ffn.size()}) {
    scratch = std::max(scratch, gemm_scratch_bytes(in, device.exec().threads));
  }
  return {.residual = make(tokens, spec_.hidden),
          .x = make(tokens, spec_.hidden),
          .qkv = make(tokens, attention_.qkv_columns()),
          .mix = make(tokens, attention_.q_columns()),
          .gate_up = make(tokens, 2 * share_.ffn.size()),
          .gated = make(tokens, share_.ffn.size()),
          .last = make(wanted, spec_.hidden),
          .local_logits = make(wanted, share_.vocabulary.size()),
          .logits = make(root ? wanted : 0, spec_.vocabulary),
          .scratch = make(1, static_cast<std::int64_t>(scratch / sizeof(float)) + 1)};
}

KvLayout Decoder::kv_layout() const {
  return {.layers = static_cast<int>(share_.layers.size()),
          .kv_heads = attention_.kv_heads,
          .head_dim = attention_.head_dim};
}

TensorView Decoder::forward(const Exec& caller, const StepPlan& plan, KvCache& cache) {
  const std::int64_t tokens = plan.tokens();
  const std::int64_t wanted = std::ssize(plan.logit_rows);
  if (tokens > limits_.max_step_tokens || wanted > limits_.max_logit_rows) {
    throw ConfigError(fmt::format(
        "a step of {} tokens and {} rows of logits was planned, this model was built for {} and {}",
        tokens, wanted, limits_.max_step_tokens, limits_.max_logit_rows));
  }
  Exec exec = caller;
  exec.scratch = {workspace_.scratch.data<std::byte>(), workspace_.scratch.bytes()};
  const StepTensors step{
      .ids = view_of(plan.token_ids, {tokens}),
      .positions = view_of(plan.positions, {tokens}),
      .slots = view_of(plan.slots, {tokens}),
      .query_begin = view_of(plan.query_begin, {std::ssize(plan.query_begin)}),
      .context_length = view_of(plan.context_length, {plan.sequences()}),
      .block_table = view_of(plan.block_table, {plan.sequences(), plan.max_blocks}),
      .kv_of_q = kv_of_q_.view(),
      .inv_freq = inv_freq_.view()};
  run_layers(exec, step, cache, tokens);
  if (wanted == 0) {
    return {};
  }
  const TensorView last = workspace_.last.view().row_slice({0, wanted});
  embedding(exec, {.ids = view_of(plan.logit_rows, {wanted}),
                   .table = {workspace_.x.view().row_slice({0, tokens})},
                   .first_row = 0,
                   .y = last});
  const bool root = workspace_.logits.view().rows() > 0;
  const TensorView logits = root ? workspace_.logits.view().row_slice({0, wanted}) : TensorView();
  head_.forward(exec, last, workspace_.local_logits.view().row_slice({0, wanted}), logits);
  return logits;
}

// Leaves the normalised hidden states of all tokens in workspace_.x. Each norm takes the sublayer
// before it along: residual += x; x = norm(residual).
void Decoder::run_layers(const Exec& exec, const StepTensors& step, KvCache& cache,
                         std::int64_t tokens) {
  const auto rows = [tokens](const Tensor& tensor) { return tensor.view().row_slice({0, tokens}); };
  const TensorView x = rows(workspace_.x);
  const TensorView residual = rows(workspace_.residual);
  const auto eps = static_cast<float>(spec_.norm_eps);
  embedding_.forward(exec, step.ids, residual);
  rmsnorm(exec, {.x = residual, .weight = layers_[0].attention_norm.view(), .eps = eps, .y = x});
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    layer.attention.forward(exec, attention_, step, cache, static_cast<int>(i),
                            {.qkv = rows(workspace_.qkv), .mix = rows(workspace_.mix)}, x, x);
    add_rmsnorm(
        exec, {.x = x, .residual = residual, .weight = layer.mlp_norm.view(), .eps = eps, .y = x});
    layer.mlp.forward(exec, {.gate_up = rows(workspace_.gate_up), .gated = rows(workspace_.gated)},
                      x, x);
    const bool more = i + 1 < layers_.size();
    add_rmsnorm(exec, {.x = x,
                       .residual = residual,
                       .weight = more ? layers_[i + 1].attention_norm.view() : final_norm_.view(),
                       .eps = eps,
                       .y = x});
  }
}

}  // namespace tutti
