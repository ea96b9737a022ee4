// The router of a mixture of experts (Shazeer et al. 2017; Fedus, Zoph & Shazeer 2022): the experts
// of a token and their weights, and the tokens of an expert.
#pragma once

#include "kernels/exec.hpp"
#include "kernels/expert_groups.hpp"

namespace tutti {

struct MoeRouteArgs {
  TensorView logits;  // [tokens, experts] f32, of all experts of the model, at most kMostExperts
  TensorView slots = {};    // [tokens] i32 as rope_append has them, or empty: a token with a slot
                            // below 0 pads the batch and goes to no expert
  bool renormalise = true;  // the weights of a token's experts add up to 1
  TensorView ids;           // [tokens, top_k] i32, top_k at most kMostChosen; -1: none
  TensorView weights;       // [tokens, top_k] f32
};

// ids[t,:] are the experts with the largest p = softmax(logits[t,:]), the largest first, the lower
// number first among equals; weights[t,:] their p, divided by its sum if renormalised. No token is
// ever dropped.
void moe_route(const Exec& exec, const MoeRouteArgs& args);

struct MoeGroupArgs {
  TensorView ids;          // [tokens, top_k] i32
  std::int64_t first = 0;  // of this rank's experts
  ExpertGroups groups;     // written; begin.rows() - 1 experts from `first` on
};

// Lists the pairs of each of this rank's experts, on the host in ascending order, on a device in
// none: what expert_gemm makes of a pair does not depend on its place.
void moe_group(const Exec& exec, const MoeGroupArgs& args);

inline constexpr int kRoutedAtOnce = 16;  // tokens, see moe_route_and_group

// moe_route, then moe_group of its ids; on a device one kernel for up to kRoutedAtOnce tokens.
void moe_route_and_group(const Exec& exec, const MoeRouteArgs& route, std::int64_t first,
                         const ExpertGroups& groups);

}  // namespace tutti
