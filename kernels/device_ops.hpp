// The operations of kernels/ as a device has them. The functions of the op headers check their
// arguments and come here where exec.place is a device, so that device code can lie in a library of
// its own that is loaded on demand.
#pragma once

#include <cstddef>

#include "kernels/activation.hpp"
#include "kernels/attention.hpp"
#include "kernels/embedding.hpp"
#include "kernels/expert_gemm.hpp"
#include "kernels/fill_random.hpp"
#include "kernels/gated_activation.hpp"
#include "kernels/gated_gemm.hpp"
#include "kernels/gemm.hpp"
#include "kernels/gemm_tuning.hpp"
#include "kernels/layernorm.hpp"
#include "kernels/moe_combine.hpp"
#include "kernels/moe_route.hpp"
#include "kernels/qk_squares.hpp"
#include "kernels/residual_add.hpp"
#include "kernels/rmsnorm.hpp"
#include "kernels/rope.hpp"
#include "kernels/sample_rows.hpp"
#include "kernels/sample_slots.hpp"
#include "kernels/soft_cap.hpp"
#include "kernels/stream_read.hpp"
#include "kernels/transpose.hpp"

namespace tutti {

// All calls are asynchronous on exec.stream, allocate nothing and may be captured into a graph
// (but see gemm). Errors: DeviceError where a launch fails.
class DeviceOps {
 public:
  virtual ~DeviceOps() = default;

  virtual void embedding(const Exec& exec, const EmbeddingArgs& args) = 0;
  virtual void rmsnorm(const Exec& exec, const RmsnormArgs& args) = 0;
  virtual void add_rmsnorm(const Exec& exec, const AddRmsnormArgs& args) = 0;
  virtual void layernorm(const Exec& exec, const LayernormArgs& args) = 0;
  virtual void add_layernorm(const Exec& exec, const AddLayernormArgs& args) = 0;
  virtual void residual_add(const Exec& exec, const ResidualAddArgs& args) = 0;
  virtual void add_normed(const Exec& exec, const AddNormedArgs& args) = 0;
  virtual void soft_cap(const Exec& exec, const SoftCapArgs& args) = 0;
  virtual void rope_append(const Exec& exec, const RopeAppendArgs& args) = 0;
  virtual void qk_squares(const Exec& exec, const QkSquaresArgs& args) = 0;
  virtual void attention(const Exec& exec, const AttentionArgs& args) = 0;
  virtual void activation(const Exec& exec, const ActivationArgs& args) = 0;
  virtual void gated_activation(const Exec& exec, const GatedActivationArgs& args) = 0;
  // The first call for a shape outside a capture tries the library's algorithms and keeps the
  // fastest; inside a capture an untried shape takes the library's own first choice.
  virtual void gemm(const Exec& exec, const GemmArgs& args) = 0;
  virtual void gated_gemm(const Exec& exec, const GatedGemmArgs& args) = 0;
  virtual void moe_route(const Exec& exec, const MoeRouteArgs& args) = 0;
  virtual void moe_group(const Exec& exec, const MoeGroupArgs& args) = 0;
  virtual void moe_route_and_group(const Exec& exec, const MoeRouteArgs& route,
                                   const MoeGroupArgs& group) = 0;
  virtual void expert_gemm(const Exec& exec, const ExpertGemmArgs& args) = 0;
  virtual void moe_combine(const Exec& exec, const MoeCombineArgs& args) = 0;
  virtual void sample_rows(const Exec& exec, const SampleRowsArgs& args) = 0;
  virtual void sample_slots(const Exec& exec, const SampleSlotsArgs& args) = 0;
  virtual void transpose(const Exec& exec, const TransposeArgs& args) = 0;
  virtual void stream_read(const Exec& exec, const StreamReadArgs& args) = 0;
  virtual void fill_random(const Exec& exec, const FillRandomArgs& args) = 0;

  // For benchmarks; graphs that were recorded before keep what they were recorded with.
  virtual void tune(const GemmTuning&) {}

  // Device memory that the operations keep for themselves: split sums, counters, the library's.
  virtual std::size_t workspace_bytes() const = 0;
};

}  // namespace tutti
