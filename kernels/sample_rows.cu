// One block a row; a row is read once for the largest logit, once more for a plain draw, and twice
// more where top-k or top-p select. Rows without biases and penalties pay nothing for those with.
#include "kernels/cuda_launch.cuh"
#include "kernels/sample_candidates.cuh"

namespace tutti {
namespace {

constexpr int kThreads = 1024;
constexpr std::size_t kSharedBytes = sizeof(sampling::Shared<kThreads>);
static_assert(kSampleMostIds / sampling::kChunk < sampling::kMostCandidates);
static_assert(kSampleMostIds < 1 << sampling::kIdBits);

struct Sampling {
  float* logits;
  const std::int32_t* rules;
  std::int32_t* tallies;
  const std::int32_t* biases;
  std::int32_t* ids;
  std::int32_t* last;
  std::int64_t logits_stride;
  std::int64_t rules_stride;
  std::int64_t tallies_stride;
  std::int64_t biases_stride;
  std::int64_t ids_stride;
  std::int64_t last_stride;
  int vocabulary;
  bool vectors;
};

__global__ void __launch_bounds__(kThreads) sample_rows_kernel(Sampling s) {
  extern __shared__ std::uint64_t memory[];
  auto& shared = *reinterpret_cast<sampling::Shared<kThreads>*>(memory);
  release_dependents();
  wait_for_predecessor();
  const std::int64_t index = blockIdx.x;
  const SampleRowRule rule =
      *reinterpret_cast<const SampleRowRule*>(s.rules + index * s.rules_stride);
  std::int32_t* const id_out = s.ids + index * s.ids_stride;
  if (rule.slot < 0) {
    if (threadIdx.x == 0) {
      *id_out = 0;
    }
    return;
  }
  const sampling::Changes changes{
      .logits = s.logits + index * s.logits_stride,
      .tallies = reinterpret_cast<Tally*>(s.tallies + rule.slot * s.tallies_stride),
      .biases = reinterpret_cast<const int2*>(s.biases + rule.slot * s.biases_stride)};
  sampling::Row row{.logits = changes.logits, .n = s.vocabulary, .vectors = s.vectors};
  const int id = sampling::sample_row(shared, row, rule, changes);
  if (threadIdx.x == 0) {
    *id_out = id;
    s.last[rule.slot * s.last_stride] = id;
    if (id >= 0 && rule.penalises()) {
      changes.tallies[id] = counted_once_more(changes.tallies[id]);
    }
  }
}

}  // namespace

void sample_rows_cuda(CudaContext& context, const Exec& exec, const SampleRowsArgs& args) {
  const std::int64_t rows = args.logits.rows();
  const bool vectors = reinterpret_cast<std::uintptr_t>(args.logits.data) % 16 == 0 &&
                       (rows == 1 || args.logits.row_stride % 4 == 0);
  allow_shared_memory(&sample_rows_kernel, kSharedBytes);
  launch(context, exec, "sample_rows", &sample_rows_kernel, dim3(static_cast<unsigned>(rows)),
         dim3(kThreads), kSharedBytes,
         Sampling{.logits = static_cast<float*>(args.logits.data),
                  .rules = static_cast<const std::int32_t*>(args.rules.data),
                  .tallies = static_cast<std::int32_t*>(args.tallies.data),
                  .biases = static_cast<const std::int32_t*>(args.biases.data),
                  .ids = static_cast<std::int32_t*>(args.ids.data),
                  .last = static_cast<std::int32_t*>(args.last.data),
                  .logits_stride = args.logits.row_stride,
                  .rules_stride = args.rules.row_stride,
                  .tallies_stride = args.tallies.row_stride,
                  .biases_stride = args.biases.row_stride,
                  .ids_stride = args.ids.row_stride,
                  .last_stride = args.last.row_stride,
                  .vocabulary = static_cast<int>(args.logits.shape[1]),
                  .vectors = vectors});
}

}  // namespace tutti
