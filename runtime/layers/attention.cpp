#include "runtime/layers/attention.hpp"

#include <utility>

#include "kernels/attention.hpp"
#include "kernels/qk_squares.hpp"
#include "kernels/rope.hpp"

namespace tutti {

AttentionLayer::AttentionLayer(ColumnParallelLinear qkv, RowParallelLinear o, Tensor q_norm,
                               Tensor k_norm)
    : qkv_(std::move(qkv)),
      o_(std::move(o)),
      q_norm_(std::move(q_norm)),
      k_norm_(std::move(k_norm)) {}

void AttentionLayer::forward_summand(const Exec& exec, const AttentionShape& shape,
                                     const StepTensors& step, KvCache& cache, int layer,
                                     Communicator& group, const Workspace& workspace,
                                     const TensorView& x, const TensorView& y) const {
  qkv_.forward(exec, x, workspace.qkv);
  RopeNorm norm{.q_weight = q_norm_.view(), .k_weight = k_norm_.view(), .eps = shape.norm_eps};
  if (shape.q_width > 0) {
    qk_squares(exec, {.qkv = workspace.qkv,
                      .q_heads = shape.q_heads,
                      .kv_heads = shape.kv_heads,
                      .head_dim = shape.head_dim,
                      .k_heads = shape.k_counted,
                      .squares = workspace.squares});
    group.all_reduce_sum(exec, workspace.squares);
    norm.squares = workspace.squares;
    norm.q_width = shape.q_width;
    norm.k_width = shape.k_width;
  }
  rope_append(exec, {.qkv = workspace.qkv,
                     .positions = step.positions,
                     .slots = step.slots,
                     .inv_freq = shape.inv_freq,
                     .magnitude = shape.rope_magnitude,
                     .norm = norm,
                     .q_heads = shape.q_heads,
                     .kv_heads = shape.kv_heads,
                     .head_dim = shape.head_dim,
                     .k_pages = cache.keys(layer),
                     .v_pages = cache.values(layer)});
  attention(exec, {.q = workspace.qkv.column_slice({0, shape.q_columns()}),
                   .k_pages = cache.keys(layer),
                   .v_pages = cache.values(layer),
                   .query_begin = step.query_begin,
                   .context_length = step.context_length,
                   .block_table = step.block_table,
                   .kv_of_q = step.kv_of_q,
                   .head_dim = shape.head_dim,
                   .scale = shape.scale,
                   .window = shape.window,
                   .softcap = shape.softcap,
                   .slopes = shape.slopes,
                   .most_queries = step.most_queries,
                   .most_context = step.most_context,
                   .y = workspace.mix});
  o_.forward_summand(exec, workspace.mix, y);
}

}  // namespace tutti
