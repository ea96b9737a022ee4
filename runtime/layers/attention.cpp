#include "runtime/layers/attention.hpp"

#include <cmath>
#include <utility>

#include "kernels/attention.hpp"
#include "kernels/rope.hpp"

namespace tutti {

AttentionLayer::AttentionLayer(ColumnParallelLinear qkv, RowParallelLinear o)
    : qkv_(std::move(qkv)), o_(std::move(o)) {}

void AttentionLayer::forward_summand(const Exec& exec, const AttentionShape& shape,
                                     const StepTensors& step, KvCache& cache, int layer,
                                     const Workspace& workspace, const TensorView& x,
                                     const TensorView& y) const {
  qkv_.forward(exec, x, workspace.qkv);
  rope_append(exec, {.qkv = workspace.qkv,
                     .positions = step.positions,
                     .slots = step.slots,
                     .inv_freq = step.inv_freq,
                     .magnitude = shape.rope_magnitude,
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
                   .scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim)),
                   .most_queries = step.most_queries,
                   .most_context = step.most_context,
                   .y = workspace.mix});
  o_.forward_summand(exec, workspace.mix, y);
}

}  // namespace tutti
