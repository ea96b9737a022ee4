// One block a row; a row is read once for the largest logit, once more for a plain draw, and twice
// more where top-k or top-p select.
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
  std::uint32_t* seen;
  std::int32_t* ids;
  std::int32_t* last;
  std::int64_t logits_stride;
  std::int64_t rules_stride;
  std::int64_t seen_stride;
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
  float* logits = s.logits + index * s.logits_stride;
  std::uint32_t* seen = s.seen + rule.slot * s.seen_stride;
  sampling::Row row{.logits = logits, .n = s.vocabulary, .vectors = s.vectors};
  const int id = sampling::sample_row(shared, row, rule, logits, seen);
  if (threadIdx.x == 0) {
    *id_out = id;
    s.last[rule.slot * s.last_stride] = id;
    if (id >= 0) {
      seen[id / 32] |= 1u << (id % 32);
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
                  .seen = static_cast<std::uint32_t*>(args.seen.data),
                  .ids = static_cast<std::int32_t*>(args.ids.data),
                  .last = static_cast<std::int32_t*>(args.last.data),
                  .logits_stride = args.logits.row_stride,
                  .rules_stride = args.rules.row_stride,
                  .seen_stride = args.seen.row_stride,
                  .ids_stride = args.ids.row_stride,
                  .last_stride = args.last.row_stride,
                  .vocabulary = static_cast<int>(args.logits.shape[1]),
                  .vectors = vectors});
}

}  // namespace tutti
