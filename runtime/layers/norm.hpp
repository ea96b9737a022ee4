// Norms of hidden states, and how what a sublayer computed joins the residual stream.
#pragma once

#include "runtime/comm/communicator.hpp"
#include "runtime/tensor/tensor.hpp"

namespace tutti {

enum class NormKind : std::uint8_t { rms, layer };

// Empty where a decoder has no norm at that place.
class Norm {
 public:
  Norm() = default;
  // weight [hidden] f32; bias the same or empty, with a LayerNorm only.
  Norm(NormKind kind, float eps, Tensor weight, Tensor bias = {});

  bool empty() const { return weight_.view().dims == 0; }
  NormKind kind() const { return kind_; }
  float eps() const { return eps_; }
  const TensorView& weight() const { return weight_.view(); }
  const TensorView& bias() const { return bias_.view(); }
  std::size_t bytes() const { return weight_.bytes() + bias_.bytes(); }

  // x [tokens, hidden] f32, y the same or of the activations' type.
  void forward(const Exec& exec, const TensorView& x, const TensorView& y) const;

 private:
  NormKind kind_ = NormKind::rms;
  float eps_ = 0;
  Tensor weight_;
  Tensor bias_;
};

struct JoinArgs {
  TensorView x;         // [tokens, hidden] dense: this rank's summand; becomes what next makes
  TensorView residual;  // [tokens, hidden] f32, updated
  float scale = 1;      // of what is added
};

// Collective. residual += scale * post(sum over the ranks of x);  x = next(residual). An empty norm
// changes nothing. Where there is no post, next is an RMSNorm and the scale is 1, one fused
// operation where the group has one (Communicator::all_reduce_add_rmsnorm). A post norm is an
// RMSNorm and wants a scale of 1.
void join_residual(const Exec& exec, Communicator& group, const Norm& post, const Norm& next,
                   const JoinArgs& args);

}  // namespace tutti
