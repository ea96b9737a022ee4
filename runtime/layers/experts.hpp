// The feed-forward sublayer as a mixture of experts: a router sends each token to some of many MLPs
// (Shazeer et al. 2017); one more MLP may take all tokens (Qwen2-MoE).
#pragma once

#include <optional>
#include <vector>

#include "kernels/activation_kind.hpp"
#include "kernels/expert_groups.hpp"
#include "runtime/layers/mlp.hpp"

namespace tutti {

class Experts {
 public:
  // What this rank holds: columns of all experts, or all columns of some (ShardPlan).
  struct Parts {
    Tensor router;           // [experts of the model, hidden]
    Tensor in;               // [experts, 2 * columns, hidden]: of each the gate, then up
    Tensor down;             // [experts, hidden, columns]
    std::int64_t first = 0;  // of this rank's experts
    bool renormalise = true;
    Activation kind = Activation::silu;
    std::optional<Mlp> shared = {};
    Tensor shared_router = {};  // [1, hidden]; with `shared`
  };
  explicit Experts(Parts parts) : parts_(std::move(parts)) {}

  struct Workspace {
    TensorView logits;              // [tokens, experts of the model] f32
    TensorView ids, weights;        // [tokens, experts of a token] i32 and f32
    ExpertGroups groups;            // of this rank's experts
    TensorView gated;               // [pairs, columns]
    TensorView products;            // [pairs, hidden]
    TensorView shared_logits = {};  // [tokens, 1] f32
    Mlp::Workspace shared = {};
  };

  // x and y [tokens, hidden] of one type; y, which may be x, becomes this rank's summand. `slots`
  // [tokens], see MoeRouteArgs.
  void forward_summand(const Exec& exec, const Workspace& workspace, const TensorView& slots,
                       const TensorView& x, const TensorView& y) const;
  std::size_t bytes() const;
  std::size_t bytes_of_one() const;  // of this rank's experts

 private:
  Parts parts_;
};

// What the experts of a model share of a step's working memory.
struct ExpertExtents {
  std::int64_t tokens = 0;
  std::int64_t hidden = 0;
  std::int64_t all = 0;      // experts of the model; 0: none, and no memory
  std::int64_t experts = 0;  // of this rank
  std::int64_t columns = 0;  // of each on this rank
  std::int64_t per_token = 0;
  std::int64_t layers = 0;
};

// A step uses the first rows; all are i32, f32 or of the activations' type.
struct ExpertBuffers {
  ExpertBuffers() = default;
  ExpertBuffers(Device& device, const ExpertExtents& extents, DType dtype, const char* name);

  // For a layer, which keeps its own `begin` until the next step.
  Experts::Workspace of(std::int64_t tokens, std::int64_t layer) const;
  // Of all layers, [layers, experts + 1], see ExpertGroups::begin. Waits for the device.
  std::vector<std::int32_t> last_begins(Device& device) const;
  std::size_t bytes() const;
  // bytes() of what would be made.
  static std::uint64_t bytes(const ExpertExtents& extents, DType dtype);

  Tensor logits, ids, weights, shared_logits, order, begins, tiles, active, gated, products;
};

}  // namespace tutti
