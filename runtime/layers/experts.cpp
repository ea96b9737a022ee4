#include "runtime/layers/experts.hpp"

#include <array>

#include "kernels/expert_gemm.hpp"
#include "kernels/gemm.hpp"
#include "kernels/moe_combine.hpp"
#include "kernels/moe_route.hpp"

namespace tutti {
namespace {

struct Buffer {
  Tensor ExpertBuffers::*member;
  DType dtype;
  std::int64_t rows, columns;
};

std::array<Buffer, 10> buffers_of(const ExpertExtents& extents, DType dtype) {
  using B = ExpertBuffers;
  const std::int64_t some = extents.all > 0 ? 1 : 0;
  const std::int64_t tokens = some * extents.tokens;
  const std::int64_t pairs = tokens * extents.per_token;
  const std::int64_t borders = extents.experts + 1;
  return {{{&B::logits, DType::f32, tokens, extents.all},
           {&B::ids, DType::i32, tokens, extents.per_token},
           {&B::weights, DType::f32, tokens, extents.per_token},
           {&B::shared_logits, DType::f32, tokens, 1},
           {&B::order, DType::i32, pairs, 1},
           {&B::begins, DType::i32, some * extents.layers, borders},
           {&B::tiles, DType::i32, some * borders, 1},
           {&B::active, DType::i32, some * borders, 1},
           {&B::gated, dtype, pairs, extents.columns},
           {&B::products, dtype, pairs, extents.hidden}}};
}

// The list that lies in `count` elements from row `row` of a tensor on.
TensorView list_of(const Tensor& tensor, std::int64_t count, std::int64_t row = 0) {
  const TensorView& view = tensor.view();
  return {view.row<std::int32_t>(row), DType::i32, view.place, {count}};
}

}  // namespace

void Experts::forward_summand(const Exec& exec, const Workspace& workspace, const TensorView& slots,
                              const TensorView& x, const TensorView& y) const {
  gemm(exec, {.x = x, .weight = {parts_.router.view()}, .y = workspace.logits});
  moe_route_and_group(exec,
                      {.logits = workspace.logits,
                       .slots = slots,
                       .renormalise = parts_.renormalise,
                       .ids = workspace.ids,
                       .weights = workspace.weights},
                      parts_.first, workspace.groups);
  expert_gemm(exec, {.x = x,
                     .weights = parts_.in.view(),
                     .groups = workspace.groups,
                     .gated = true,
                     .kind = parts_.kind,
                     .y = workspace.gated});
  expert_gemm(exec, {.x = workspace.gated,
                     .weights = parts_.down.view(),
                     .groups = workspace.groups,
                     .groups_settled = !workspace.gated.empty(),  // else nothing was launched above
                     .y = workspace.products});
  MoeCombineArgs combine{.x = workspace.products,
                         .ids = workspace.ids,
                         .weights = workspace.weights,
                         .first = parts_.first,
                         .experts = workspace.groups.experts(),
                         .y = y};
  if (parts_.shared) {  // y may be x, which nobody reads any more
    gemm(exec, {.x = x, .weight = {parts_.shared_router.view()}, .y = workspace.shared_logits});
    parts_.shared->forward_summand(exec, workspace.shared, x, y);
    combine.shared = y;
    combine.shared_gate = workspace.shared_logits;
  }
  moe_combine(exec, combine);
}

std::size_t Experts::bytes() const {
  return parts_.router.bytes() + parts_.in.bytes() + parts_.down.bytes() +
         (parts_.shared ? parts_.shared->bytes() : 0) + parts_.shared_router.bytes();
}

std::size_t Experts::bytes_of_one() const {
  const auto experts = static_cast<std::size_t>(parts_.in.view().rows());
  return (parts_.in.bytes() + parts_.down.bytes()) / experts;
}

ExpertBuffers::ExpertBuffers(Device& device, const ExpertExtents& extents, DType dtype,
                             const char* name) {
  for (const Buffer& buffer : buffers_of(extents, dtype)) {
    this->*buffer.member = Tensor(device, buffer.dtype, {buffer.rows, buffer.columns}, name);
  }
  if (begins.bytes() > 0) {
    device.fill_zero(begins.view().data, begins.bytes());  // before the first step nobody has any
  }
}

Experts::Workspace ExpertBuffers::of(std::int64_t tokens, std::int64_t layer) const {
  const std::int64_t per_token = ids.view().shape[1];
  const std::int64_t borders = begins.view().shape[1];
  const std::int64_t pairs = tokens * per_token;
  return {.logits = logits.view().row_slice({0, tokens}),
          .ids = ids.view().row_slice({0, tokens}),
          .weights = weights.view().row_slice({0, tokens}),
          .groups = {.order = list_of(order, pairs),
                     .begin = list_of(begins, borders, layer),
                     .tiles = list_of(tiles, borders),
                     .active = list_of(active, borders),
                     .top_k = static_cast<int>(per_token)},
          .gated = gated.view().row_slice({0, pairs}),
          .products = products.view().row_slice({0, pairs}),
          .shared_logits = shared_logits.view().row_slice({0, tokens})};
}

std::vector<std::int32_t> ExpertBuffers::last_begins(Device& device) const {
  std::vector<std::int32_t> values(static_cast<std::size_t>(begins.view().elements()));
  device.copy_out(values.data(), begins.view().data, begins.bytes());
  device.synchronize();
  return values;
}

std::size_t ExpertBuffers::bytes() const {
  std::size_t sum = 0;
  for (const Buffer& buffer : buffers_of({}, DType::f32)) {
    sum += (this->*buffer.member).bytes();
  }
  return sum;
}

std::uint64_t ExpertBuffers::bytes(const ExpertExtents& extents, DType dtype) {
  std::uint64_t sum = 0;
  for (const Buffer& buffer : buffers_of(extents, dtype)) {
    sum += static_cast<std::uint64_t>(buffer.rows * buffer.columns) * size_of(buffer.dtype);
  }
  return sum;
}

}  // namespace tutti
