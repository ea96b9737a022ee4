// The attention sublayer: this rank's query heads over its pages of keys and values.
#pragma once

#include "runtime/cache/kv_cache.hpp"
#include "runtime/layers/linear.hpp"
#include "runtime/layers/step_tensors.hpp"

namespace tutti {

// What all layers of a model share.
struct AttentionShape {
  int q_heads = 0;   // of this rank
  int kv_heads = 0;  // of this rank
  int head_dim = 0;
  float rope_magnitude = 1;

  std::int64_t q_columns() const { return std::int64_t{q_heads} * head_dim; }
  std::int64_t qkv_columns() const { return std::int64_t{q_heads + 2 * kv_heads} * head_dim; }
};

class AttentionLayer {
 public:
  // qkv [qkv_columns, hidden]: the rows of q, of k, of v; o [hidden, q_columns].
  AttentionLayer(ColumnParallelLinear qkv, RowParallelLinear o);

  struct Workspace {
    TensorView qkv;  // [tokens, qkv_columns]
    TensorView mix;  // [tokens, q_columns]
  };

  // x and y [tokens, hidden]; y, which may be x, becomes this rank's summand. Appends this step's
  // keys and values to the pages of `layer`.
  void forward_summand(const Exec& exec, const AttentionShape& shape, const StepTensors& step,
                       KvCache& cache, int layer, const Workspace& workspace, const TensorView& x,
                       const TensorView& y) const;
  std::size_t bytes() const { return qkv_.bytes() + o_.bytes(); }

 private:
  ColumnParallelLinear qkv_;
  RowParallelLinear o_;
};

}  // namespace tutti
