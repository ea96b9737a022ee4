#include "runtime/layers/vocabulary.hpp"

#include <utility>

#include "kernels/embedding.hpp"
#include "kernels/gemm.hpp"

namespace tutti {

VocabParallelEmbedding::VocabParallelEmbedding(TensorView table, std::int64_t first_row,
                                               Communicator& group)
    : table_(table), first_row_(first_row), group_(&group) {}

void VocabParallelEmbedding::forward(const Exec& exec, const StepTensors& step,
                                     const TensorView& y) const {
  embedding(exec, {.ids = step.ids,
                   .table = {table_},
                   .first_row = first_row_,
                   .source = step.last.dims == 0 ? TensorView() : step.sources,
                   .last = step.last,
                   .y = y});
  group_->all_reduce_sum(exec, y);
}

VocabParallelHead::VocabParallelHead(TensorView table, std::vector<std::int64_t> rows,
                                     Communicator& group)
    : table_(table), rows_(std::move(rows)), group_(&group) {}

void VocabParallelHead::forward(const Exec& exec, const TensorView& x, const TensorView& local,
                                const TensorView& y) const {
  const bool alone = group_->size() == 1;
  gemm(exec, {.x = x, .weight = {table_}, .bias = {}, .y = alone ? y : local});
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
