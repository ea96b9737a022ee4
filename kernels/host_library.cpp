#include "kernels/host_library.hpp"

#include <cblas.h>

#include <algorithm>
#include <chrono>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace tutti {
namespace {

// The library's number of threads is process-wide; `gemm` wants one, which is put back.
class LibraryThreads {
 public:
  explicit LibraryThreads(int threads) { set(threads); }
  ~LibraryThreads() { set(1); }
  LibraryThreads(const LibraryThreads&) = delete;
  LibraryThreads& operator=(const LibraryThreads&) = delete;

 private:
  static void set(int threads) {
#ifdef _OPENMP
    const int team = omp_get_max_threads();
#endif
    openblas_set_num_threads(threads);
#ifdef _OPENMP
    omp_set_num_threads(team);  // the library resets OpenMP's default too
#endif
  }
};

// Constant data could be multiplied faster than real data.
std::vector<float> varied(std::size_t size) {
  std::vector<float> values(size);
  std::uint32_t state = 1;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(state >> 8) * 0x1p-24f - 0.5f;
  }
  return values;
}

}  // namespace

std::string host_gemm_library() {
  // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH NO_AFFINITY SkylakeX MAX_THREADS=64"
  const std::string config = openblas_get_config();
  const std::size_t name_end = config.find(' ');
  const std::size_t version_end = config.find(' ', name_end + 1);
  return config.substr(0, version_end) + " " + openblas_get_corename();
}

double host_library_gemm_seconds(std::int64_t tokens, std::int64_t in, std::int64_t out,
                                 int threads, int repeats) {
  const auto size = [](std::int64_t rows, std::int64_t columns) {
    return static_cast<std::size_t>(rows * columns);
  };
  const std::vector<float> x = varied(size(tokens, in));
  const std::vector<float> w = varied(size(out, in));
  std::vector<float> y(size(tokens, out));
  const LibraryThreads own_threads(threads);
  std::vector<double> seconds;
  for (int i = 0; i <= repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<blasint>(tokens),
                static_cast<blasint>(out), static_cast<blasint>(in), 1.0f, x.data(),
                static_cast<blasint>(in), w.data(), static_cast<blasint>(in), 0.0f, y.data(),
                static_cast<blasint>(out));
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (i > 0) {
      seconds.push_back(taken.count());
    }
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

}  // namespace tutti
