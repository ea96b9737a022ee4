// The attention sublayer: this rank's query heads over its pages of keys and values.
#pragma once

#include "runtime/cache/kv_cache.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/layers/linear.hpp"
#include "runtime/layers/step_tensors.hpp"

namespace tutti {

// What layers of a kind share; a model has one kind, or two where some layers have a window.
struct AttentionShape {
  int q_heads = 0;   // of this rank
  int kv_heads = 0;  // of this rank
  int head_dim = 0;
  float scale = 1;  // of scores: usually 1 / sqrt(head_dim)
  int window = 0;   // see AttentionArgs
  float softcap = 0;
  TensorView slopes;    // see AttentionArgs
  TensorView inv_freq;  // see RopeAppendArgs; empty: no rotation
  float rope_magnitude = 1;
  float norm_eps = 1e-6f;  // of queries and keys, where the layer has weights for them
  // Where that norm is of all heads of all ranks; else 0.
  std::int64_t q_width = 0;
  std::int64_t k_width = 0;
  Range k_counted;  // of kv_heads, those that this rank counts there

  std::int64_t q_columns() const { return std::int64_t{q_heads} * head_dim; }
  std::int64_t qkv_columns() const { return std::int64_t{q_heads + 2 * kv_heads} * head_dim; }
};

class AttentionLayer {
 public:
  // qkv [qkv_columns, hidden]: the rows of q, of k, of v; o [hidden, q_columns]. q_norm and k_norm,
  // see RopeNorm, may be empty.
  AttentionLayer(ColumnParallelLinear qkv, RowParallelLinear o, Tensor q_norm = {},
                 Tensor k_norm = {});

  struct Workspace {
    TensorView qkv;           // [tokens, qkv_columns]
    TensorView mix;           // [tokens, q_columns]
    TensorView squares = {};  // [tokens, 2] f32 where the norm is of all heads
  };

  // x and y [tokens, hidden]; y, which may be x, becomes this rank's summand. Appends this step's
  // keys and values to the pages of `layer`. Collective where the norm is of all heads.
  void forward_summand(const Exec& exec, const AttentionShape& shape, const StepTensors& step,
                       KvCache& cache, int layer, Communicator& group, const Workspace& workspace,
                       const TensorView& x, const TensorView& y) const;
  std::size_t bytes() const {
    return qkv_.bytes() + o_.bytes() + q_norm_.bytes() + k_norm_.bytes();
  }

 private:
  ColumnParallelLinear qkv_;
  RowParallelLinear o_;
  Tensor q_norm_;
  Tensor k_norm_;
};

}  // namespace tutti
