#include "kernels/fill_random.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"
#include "kernels/multiversion.hpp"

namespace tutti {
namespace {

template <typename T>
struct FillRow {
  template <int W>
  static TUTTI_INLINE void run(T* y, std::int64_t n, std::uint64_t counter, std::uint64_t step,
                               float scale, float offset) {
    if (offset == 0) {  // the same bits without a library call where fma is no instruction
      for (std::int64_t i = 0; i < n; ++i) {
        const float random = random_of_counter(counter + static_cast<std::uint64_t>(i) * step);
        y[i] = from_float<T>(random * scale + 0.0f);  // no -0
      }
      return;
    }
    for (std::int64_t i = 0; i < n; ++i) {
      const float random = random_of_counter(counter + static_cast<std::uint64_t>(i) * step);
      y[i] = from_float<T>(std::fma(scale, random, offset));
    }
  }
};

template <typename T>
void fill_host(const Exec& exec, const FillRandomArgs& args) {
  constexpr std::int64_t kBlock = 4096;
  const RandomCounters counters = counters_of(args);
  const std::int64_t columns = args.y.row_elements();
  const std::int64_t blocks_per_row = (columns + kBlock - 1) / kBlock;
  const std::int64_t blocks = args.y.rows() * blocks_per_row;
  // A hash takes about as long as eight bytes do.
  [[maybe_unused]] const int threads = threads_for(exec, args.y.elements() * 8);
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
  for (std::int64_t b = 0; b < blocks; ++b) {
    const std::int64_t row = b / blocks_per_row;
    const std::int64_t begin = b % blocks_per_row * kBlock;
    const std::uint64_t counter = counters.first + static_cast<std::uint64_t>(row) * counters.row +
                                  static_cast<std::uint64_t>(begin) * counters.column;
    multiversion<FillRow<T>>(args.y.row<T>(row) + begin, std::min(kBlock, columns - begin), counter,
                             counters.column, args.scale, args.offset);
  }
}

}  // namespace

void fill_random(const Exec& exec, const FillRandomArgs& args) {
  constexpr const char* op = "fill_random";
  if (args.y.dims == 1) {
    check_view(exec, op, "y", args.y, args.y.dtype, {kAnyExtent});
  } else {
    check_view(exec, op, "y", args.y, args.y.dtype, {kAnyExtent, kAnyExtent});
  }
  check_that(args.y.dtype != DType::i32, op, "y is {}, wanted f32, f16 or bf16", describe(args.y));
  check_that(args.first_row >= 0, op, "first_row is {}, wanted at least 0", args.first_row);
  if (on_device(exec, op)) {
    return exec.ops->fill_random(exec, args);
  }
  switch (args.y.dtype) {
    case DType::f16:
      return fill_host<f16>(exec, args);
    case DType::bf16:
      return fill_host<bf16>(exec, args);
    default:
      return fill_host<float>(exec, args);
  }
}

}  // namespace tutti
