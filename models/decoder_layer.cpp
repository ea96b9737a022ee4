#include "models/decoder_layer.hpp"

#include <fmt/format.h>

#include "kernels/residual_add.hpp"
#include "models/decoder_weights.hpp"

namespace tutti {
namespace {

std::string prefix(std::int64_t index) {
  return fmt::format("layers.{}.", index);
}

AttentionLayer load_attention(WeightLoader& loader, const std::string& layer,
                              const DecoderSpec& spec, const RankShare& share, int rank) {
  const std::string o = layer + "attention.o";
  return {ColumnParallelLinear(load_qkv(loader, layer, spec, share),
                               load_qkv_bias(loader, layer, spec, share)),
          RowParallelLinear(load_row_parallel(loader, o, spec.q_heads * spec.head_dim,
                                              head_rows(share.q_heads, spec), spec.hidden),
                            load_summand_bias(loader, o, spec, rank)),
          load_qk_norm(loader, layer + "attention.q_norm", spec, spec.q_heads, share.q_heads),
          load_qk_norm(loader, layer + "attention.k_norm", spec, spec.kv_heads, share.kv_heads)};
}

Mlp load_mlp(WeightLoader& loader, const MlpNames& names, const DecoderSpec& spec, int rank) {
  const std::string down = names.prefix + "down";
  return {
      ColumnParallelLinear(load_mlp_in(loader, names, spec), load_mlp_bias(loader, names, spec)),
      RowParallelLinear(load_row_parallel(loader, down, names.ffn, names.columns, spec.hidden),
                        load_summand_bias(loader, down, spec, rank)),
      spec.activation, spec.gated};
}

std::optional<Mlp> load_only_mlp(WeightLoader& loader, const std::string& layer,
                                 const DecoderSpec& spec, const RankShare& share, int rank) {
  if (spec.experts > 0) {
    return std::nullopt;
  }
  return load_mlp(loader, {layer + "mlp.", spec.ffn, share.ffn}, spec, rank);
}

std::optional<Experts> load_experts(WeightLoader& loader, const std::string& layer,
                                    const DecoderSpec& spec, const RankShare& share, int rank) {
  if (spec.experts == 0) {
    return std::nullopt;
  }
  Experts::Parts parts{.router = load_router(loader, layer + "experts.router", spec, spec.experts),
                       .in = load_experts_in(loader, layer, spec, share),
                       .down = load_experts_down(loader, layer, spec, share),
                       .first = share.experts.begin,
                       .renormalise = spec.renormalise_experts,
                       .kind = spec.activation};
  if (spec.shared_ffn > 0) {
    const MlpNames names{layer + "shared.", spec.shared_ffn, share.shared_ffn};
    parts.shared = load_mlp(loader, names, spec, rank);
    parts.shared_router = load_router(loader, layer + "shared.router", spec, 1);
  }
  return Experts(std::move(parts));
}

// Where the spec has a norm of this name.
Norm load_norm_at(WeightLoader& loader, const std::string& layer, const char* name,
                  const DecoderSpec& spec) {
  return spec.has_norm(name) ? load_norm(loader, layer + name, spec) : Norm();
}

void run_parallel(const Exec& exec, const DecoderLayer& layer, const AttentionShape& shape,
                  int index, const LayerStep& at, const Norm& next) {
  layer.mlp->forward_summand(exec, at.mlp, at.x, at.side);
  if (!at.spec.shared_norm) {
    layer.attention_norm.forward(exec, at.residual, at.x);
  }
  layer.attention.forward_summand(exec, shape, at.step, at.cache, index, at.group, at.attention,
                                  at.x, at.x);
  residual_add(exec, {.x = at.x, .residual = at.side, .y = at.x});
  join_residual(exec, at.group, {}, next, {.x = at.x, .residual = at.residual});
}

}  // namespace

DecoderLayer::DecoderLayer(WeightLoader& loader, std::int64_t index, const DecoderSpec& spec,
                           const RankShare& share, int rank)
    : attention_norm(load_norm_at(loader, prefix(index), "attention_norm", spec)),
      attention(load_attention(loader, prefix(index), spec, share, rank)),
      attention_post_norm(load_norm_at(loader, prefix(index), "attention_post_norm", spec)),
      mlp_norm(load_norm_at(loader, prefix(index), "mlp_norm", spec)),
      mlp(load_only_mlp(loader, prefix(index), spec, share, rank)),
      experts(load_experts(loader, prefix(index), spec, share, rank)),
      mlp_post_norm(load_norm_at(loader, prefix(index), "mlp_post_norm", spec)) {}

std::size_t DecoderLayer::bytes() const {
  return attention_norm.bytes() + attention.bytes() + attention_post_norm.bytes() +
         mlp_norm.bytes() + (mlp ? mlp->bytes() : experts->bytes()) + mlp_post_norm.bytes();
}

void run_layer(const Exec& exec, const DecoderLayer& layer, const AttentionShape& shape, int index,
               const LayerStep& at, const Norm& next) {
  if (at.spec.parallel) {
    run_parallel(exec, layer, shape, index, at, next);
    return;
  }
  const JoinArgs join{
      .x = at.x, .residual = at.residual, .scale = static_cast<float>(at.spec.residual_scale)};
  layer.attention.forward_summand(exec, shape, at.step, at.cache, index, at.group, at.attention,
                                  at.x, at.x);
  join_residual(exec, at.group, layer.attention_post_norm, layer.mlp_norm, join);
  if (layer.mlp) {
    layer.mlp->forward_summand(exec, at.mlp, at.x, at.x);
  } else {
    Experts::Workspace workspace = at.experts.of(at.x.rows(), index);
    workspace.shared = at.mlp;
    layer.experts->forward_summand(exec, workspace, at.step.slots, at.x, at.x);
  }
  join_residual(exec, at.group, layer.mlp_post_norm, next, join);
}

}  // namespace tutti
