#include "runtime/layers/vocabulary.hpp"

#include <utility>

#include "kernels/embedding.hpp"
#include "kernels/gemm.hpp"
#include "kernels/soft_cap.hpp"

namespace tutti {

VocabParallelEmbedding::VocabParallelEmbedding(TensorView table, std::int64_t first_row,
                                               Communicator& group, float scale,
                                               const Positions& positions)
    : table_(table), first_row_(first_row), group_(&group), scale_(scale), positions_(positions) {}

void VocabParallelEmbedding::forward(const Exec& exec, const StepTensors& step,
                                     const TensorView& y) const {
  embedding(exec, {.ids = step.ids,
                   .table = {table_},
                   .first_row = first_row_,
                   .source = step.last.dims == 0 ? TensorView() : step.sources,
                   .last = step.last,
                   .scale = scale_,
                   .y = y});
  if (positions_.table.dims != 0) {
    embedding(exec, {.ids = step.positions,
                     .table = {positions_.table},
                     .first_row = positions_.first_row,
                     .add = true,
                     .y = y});
  }
  group_->all_reduce_sum(exec, y);
}

VocabParallelHead::VocabParallelHead(TensorView table, std::vector<std::int64_t> rows,
                                     Communicator& group, float scale, float softcap)
    : table_(table), rows_(std::move(rows)), group_(&group), scale_(scale), softcap_(softcap) {}

void VocabParallelHead::forward(const Exec& exec, const TensorView& x, const TensorView& local,
                                const TensorView& y) const {
  const bool alone = group_->size() == 1;
  const TensorView& own = alone ? y : local;
  gemm(exec, {.x = x, .weight = {table_}, .bias = {}, .y = own});
  if (scale_ != 1 || softcap_ > 0) {
    soft_cap(exec, {.x = own, .scale = scale_, .cap = softcap_});
  }
  if (alone) {
    return;
  }
  if (exec.place == Place::host) {
    group_->gather_columns(exec, local, rows_, y, 0);
  } else {
    group_->all_gather_columns(exec, local, rows_, y);
  }
}

}  // namespace tutti
