// One block for each sequence that enters.
#include "kernels/cuda_launch.cuh"
#include "kernels/sample_slots.hpp"

namespace tutti {
namespace {

constexpr int kThreads = 512;

struct Entering {
  const int4* entries;
  const int2* pairs;
  std::int32_t* tallies;
  std::int32_t* biases;
  std::int64_t tallies_stride;
  std::int64_t biases_stride;
  std::int64_t tally_words;
};
static_assert(kSampleSlotWords == 4);

__global__ void __launch_bounds__(kThreads) sample_slots_kernel(Entering e) {
  release_dependents();
  wait_for_predecessor();
  const int4 words = e.entries[blockIdx.x];
  const SampleSlotEntry entry{
      .slot = words.x, .first = words.y, .tallies = words.z, .biases = words.w};
  const int2* pairs = e.pairs + entry.first;
  const int thread = static_cast<int>(threadIdx.x);
  if (entry.tallies >= 0) {
    std::int32_t* row = e.tallies + entry.slot * e.tallies_stride;
    for (std::int64_t word = 2 * thread; word + 1 < e.tally_words; word += 2 * kThreads) {
      *reinterpret_cast<int2*>(row + word) = int2{0, 0};
    }
    if (thread == 0 && e.tally_words % 2 != 0) {
      row[e.tally_words - 1] = 0;
    }
    __syncthreads();
    for (int i = thread; i < entry.tallies; i += kThreads) {
      reinterpret_cast<Tally*>(row)[pairs[i].x] = static_cast<Tally>(pairs[i].y);
    }
    pairs += entry.tallies;
  }
  int2* to = reinterpret_cast<int2*>(e.biases + entry.slot * e.biases_stride);
  for (int i = thread; i < entry.biases; i += kThreads) {
    to[i] = pairs[i];
  }
}

}  // namespace

void sample_slots_cuda(CudaContext& context, const Exec& exec, const SampleSlotsArgs& args) {
  launch(context, exec, "sample_slots", &sample_slots_kernel,
         dim3(static_cast<unsigned>(args.entries.rows())), dim3(kThreads), 0,
         Entering{.entries = static_cast<const int4*>(args.entries.data),
                  .pairs = static_cast<const int2*>(args.pairs.data),
                  .tallies = static_cast<std::int32_t*>(args.tallies.data),
                  .biases = static_cast<std::int32_t*>(args.biases.data),
                  .tallies_stride = args.tallies.row_stride,
                  .biases_stride = args.biases.row_stride,
                  .tally_words = args.tallies.shape[1]});
}

}  // namespace tutti
