#include "kernels/expert_gemm.hpp"

#include <cstring>
#include <vector>

#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"
#include "kernels/gated_activation.hpp"
#include "kernels/gemm.hpp"

namespace tutti {
namespace {

// Rows of an expert's pairs side by side, as gemm takes them.
struct Gathered {
  std::vector<float> x, product, y;
};

TensorView matrix_of(std::vector<float>& values, std::int64_t rows, std::int64_t columns) {
  values.resize(static_cast<std::size_t>(rows * columns));
  return {values.data(), DType::f32, Place::host, {rows, columns}};
}

void multiply_expert(const Exec& exec, const ExpertGemmArgs& args, std::int64_t expert,
                     const std::int32_t* pairs, std::int64_t count, Gathered& gathered) {
  const std::int64_t in = args.x.shape[1];
  const std::int64_t out = args.weights.shape[1];
  const std::int64_t columns = args.y.shape[1];
  const std::int64_t per_row = args.x.rows() == args.y.rows() ? 1 : args.groups.top_k;
  const TensorView x = matrix_of(gathered.x, count, in);
  for (std::int64_t i = 0; i < count; ++i) {
    std::memcpy(x.row<float>(i), args.x.row<float>(pairs[i] / per_row),
                static_cast<std::size_t>(in) * sizeof(float));
  }
  const TensorView weight = args.weights.row_slice({expert, expert + 1});
  const TensorView product = matrix_of(gathered.product, count, out);
  gemm(exec,
       {.x = x, .weight = {{weight.data, weight.dtype, Place::host, {out, in}}}, .y = product});
  TensorView y = product;
  if (args.gated) {
    y = matrix_of(gathered.y, count, columns);
    gated_activation(exec, {.gate_up = product, .kind = args.kind, .y = y});
  }
  for (std::int64_t i = 0; i < count; ++i) {
    std::memcpy(args.y.row<float>(pairs[i]), y.row<float>(i),
                static_cast<std::size_t>(columns) * sizeof(float));
  }
}

void check_expert_gemm(const Exec& exec, const ExpertGemmArgs& args) {
  constexpr const char* op = "expert_gemm";
  const ExpertGroups& groups = args.groups;
  check_that(groups.top_k > 0, op, "groups.top_k is {}, wanted at least 1", groups.top_k);
  check_view(exec, op, "groups.begin", groups.begin, DType::i32, {kAnyExtent});
  const std::int64_t experts = groups.experts();
  check_view(exec, op, "groups.order", groups.order, DType::i32, {kAnyExtent});
  check_view(exec, op, "groups.tiles", groups.tiles, DType::i32, {experts + 1});
  check_view(exec, op, "groups.active", groups.active, DType::i32, {experts + 1});
  const std::int64_t pairs = groups.order.rows();
  check_activation(exec, op, "x", args.x, {kAnyExtent, kAnyExtent});
  check_that(args.x.rows() == pairs || args.x.rows() * groups.top_k == pairs, op,
             "x has {} rows, wanted one for each of {} pairs or for {} of them", args.x.rows(),
             pairs, groups.top_k);
  const DType dtype = args.weights.dtype;
  check_that(dtype != DType::i32, op, "weights are i32, wanted f32, f16 or bf16");
  check_view(exec, op, "weights", args.weights, dtype, {experts, kAnyExtent, args.x.shape[1]});
  const std::int64_t out = args.weights.shape[1];
  check_that(!args.gated || out % 2 == 0, op,
             "experts have {} rows, wanted an up row for each of the gate's", out);
  check_view(exec, op, "y", args.y, args.x.dtype, {pairs, args.gated ? out / 2 : out});
  check_that(exec.place == Place::host || args.x.dtype == dtype, op,
             "x is {}, wanted the weights' {}", name_of(args.x.dtype), name_of(dtype));
}

}  // namespace

void expert_gemm(const Exec& exec, const ExpertGemmArgs& args) {
  check_expert_gemm(exec, args);
  if (args.y.empty() || args.groups.experts() == 0) {
    return;
  }
  if (on_device(exec, "expert_gemm")) {
    return exec.ops->expert_gemm(exec, args);
  }
  const auto* begin = static_cast<const std::int32_t*>(args.groups.begin.data);
  const auto* order = static_cast<const std::int32_t*>(args.groups.order.data);
  const std::int64_t pairs = args.groups.order.rows();
  Gathered gathered;
  for (std::int64_t e = 0; e < args.groups.experts(); ++e) {
    check_that(begin[e] >= 0 && begin[e] <= begin[e + 1] && begin[e + 1] <= pairs, "expert_gemm",
               "expert {} has pairs {}..{}, wanted a range within {}", e, begin[e], begin[e + 1],
               pairs);
    if (begin[e + 1] > begin[e]) {
      multiply_expert(exec, args, e, order + begin[e], begin[e + 1] - begin[e], gathered);
    }
  }
}

}  // namespace tutti
