#include "kernels/gemm_library.hpp"

#include <cublasLt.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <compare>
#include <map>
#include <type_traits>
#include <vector>

#include "kernels/cuda_context.cuh"
#include "kernels/error.hpp"

namespace tutti {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;
constexpr int kCandidates = 8;
constexpr int kTimedRuns = 3;

void check_blas(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw DeviceError(fmt::format("{}: {}", call, cublasLtGetStatusString(status)));
  }
}
#define TUTTI_BLAS(call) check_blas((call), #call)

struct HandleDestroy {
  void operator()(cublasLtHandle_t handle) const noexcept { cublasLtDestroy(handle); }
};
struct EventDestroy {
  void operator()(cudaEvent_t event) const noexcept { cudaEventDestroy(event); }
};
struct MemoryFree {
  void operator()(void* memory) const noexcept { cudaFree(memory); }
};
using Handle = std::unique_ptr<std::remove_pointer_t<cublasLtHandle_t>, HandleDestroy>;
using Event = std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, EventDestroy>;

Handle make_handle() {
  cublasLtHandle_t handle = nullptr;
  TUTTI_BLAS(cublasLtCreate(&handle));
  return Handle(handle);
}

std::unique_ptr<void, MemoryFree> make_workspace() {
  void* memory = nullptr;
  TUTTI_CUDA(cudaMalloc(&memory, kWorkspaceBytes));
  return std::unique_ptr<void, MemoryFree>(memory);
}

Event make_event() {
  cudaEvent_t event = nullptr;
  TUTTI_CUDA(cudaEventCreate(&event));
  return Event(event);
}

cudaDataType_t cuda_type(DType dtype) {
  return dtype == DType::bf16 ? CUDA_R_16BF : dtype == DType::f16 ? CUDA_R_16F : CUDA_R_32F;
}

// The largest power of two, up to 256, that divides the addresses of all rows.
std::uint32_t alignment_of(const TensorView& view) {
  const auto row_bytes = static_cast<std::uintptr_t>(view.row_stride) * size_of(view.dtype);
  const std::uintptr_t bits = reinterpret_cast<std::uintptr_t>(view.data) | row_bytes | 256u;
  return static_cast<std::uint32_t>(bits & (~bits + 1));
}

// Four classes to a power of two: what is fastest for a number of tokens is nearly so beside it.
std::int64_t class_of(std::int64_t tokens) {
  const auto n = static_cast<std::uint64_t>(std::max<std::int64_t>(tokens, 1));
  const auto step = std::max<std::int64_t>(1, static_cast<std::int64_t>(std::bit_floor(n)) / 4);
  return (tokens + step - 1) / step * step;
}

struct Key {
  DType dtype;
  DType y_dtype;
  std::int64_t tokens;  // class
  std::int64_t out;
  std::int64_t in;
  std::array<std::int64_t, 3> strides;
  std::array<std::uint32_t, 3> alignments;
  auto operator<=>(const Key&) const = default;
};

Key key_of(const GemmArgs& args) {
  const TensorView& matrix = args.weight.matrix;
  return {.dtype = matrix.dtype,
          .y_dtype = args.y.dtype,
          .tokens = class_of(args.x.rows()),
          .out = args.weight.out(),
          .in = args.weight.in(),
          .strides = {matrix.row_stride, args.x.row_stride, args.y.row_stride},
          .alignments = {alignment_of(matrix), alignment_of(args.x), alignment_of(args.y)}};
}

// A product in the library's words: columns are our rows, so that y^T [out, tokens] =
// (weight^T)^T x^T. These descriptions live on the stack and own nothing.
struct Problem {
  cublasLtMatmulDescOpaque_t operation;
  cublasLtMatrixLayoutOpaque_t weight;
  cublasLtMatrixLayoutOpaque_t x;
  cublasLtMatrixLayoutOpaque_t y;

  explicit Problem(const GemmArgs& args) {
    const TensorView& matrix = args.weight.matrix;
    const cublasComputeType_t compute =
        matrix.dtype == DType::f32 ? CUBLAS_COMPUTE_32F_PEDANTIC : CUBLAS_COMPUTE_32F;
    TUTTI_BLAS(cublasLtMatmulDescInit(&operation, compute, CUDA_R_32F));
    const cublasOperation_t transposed = CUBLAS_OP_T;
    TUTTI_BLAS(cublasLtMatmulDescSetAttribute(&operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                              sizeof transposed));
    describe(weight, matrix);
    describe(x, args.x);
    describe(y, args.y);
  }

 private:
  static void describe(cublasLtMatrixLayoutOpaque_t& layout, const TensorView& view) {
    TUTTI_BLAS(cublasLtMatrixLayoutInit(
        &layout, cuda_type(view.dtype), static_cast<std::uint64_t>(view.shape[1]),
        static_cast<std::uint64_t>(view.shape[0]), std::max(view.row_stride, view.shape[1])));
  }
};

bool is_capturing(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  TUTTI_CUDA(cudaStreamIsCapturing(stream, &status));
  return status != cudaStreamCaptureStatusNone;
}

class CublasLt final : public GemmLibrary {
 public:
  bool multiply(const Exec& exec, const GemmArgs& args) override {
    const auto stream = static_cast<cudaStream_t>(exec.stream);
    Problem problem(args);
    const Key key = key_of(args);
    const auto known = chosen_.find(key);
    const bool done = known != chosen_.end() ? run(problem, known->second, args, stream)
                                             : choose_and_run(problem, key, args, stream);
    // An algorithm of another number of tokens of the class may refuse this one.
    return done || run_first(problem, args, stream);
  }

  std::size_t workspace_bytes() const override { return kWorkspaceBytes; }

 private:
  using Candidates = std::vector<cublasLtMatmulHeuristicResult_t>;

  // Those that the library thinks fastest, best first.
  Candidates candidates(Problem& problem, const GemmArgs& args, int wanted) const {
    cublasLtMatmulPreferenceOpaque_t preference;
    TUTTI_BLAS(cublasLtMatmulPreferenceInit(&preference));
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
      TUTTI_BLAS(
          cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof value));
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kWorkspaceBytes});
    // Sums of a split k are never rounded to a 16-bit y in between.
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
           std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(args.weight.matrix));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(args.x));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(args.y));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(args.y));
    Candidates results(static_cast<std::size_t>(wanted));
    int found = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
        handle_.get(), &problem.operation, &problem.weight, &problem.x, &problem.y, &problem.y,
        &preference, wanted, results.data(), &found);
    results.resize(status == CUBLAS_STATUS_SUCCESS ? static_cast<std::size_t>(found) : 0);
    std::erase_if(results, [](const auto& r) { return r.state != CUBLAS_STATUS_SUCCESS; });
    return results;
  }

  // False where the algorithm refuses the problem; then nothing was enqueued.
  bool run(Problem& problem, const cublasLtMatmulAlgo_t& algorithm, const GemmArgs& args,
           cudaStream_t stream) const {
    const float one = 1.0f;
    const float zero = 0.0f;
    const cublasStatus_t status = cublasLtMatmul(
        handle_.get(), &problem.operation, &one, args.weight.matrix.data, &problem.weight,
        args.x.data, &problem.x, &zero, args.y.data, &problem.y, args.y.data, &problem.y,
        &algorithm, workspace_.get(), kWorkspaceBytes, stream);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE) {
      return false;
    }
    check_blas(status, "cublasLtMatmul");
    return true;
  }

  bool run_first(Problem& problem, const GemmArgs& args, cudaStream_t stream) const {
    for (const auto& candidate : candidates(problem, args, kCandidates)) {
      if (run(problem, candidate.algo, args, stream)) {
        return true;
      }
    }
    return false;
  }

  // Inside a capture nothing can be timed, and nothing is remembered.
  bool choose_and_run(Problem& problem, const Key& key, const GemmArgs& args, cudaStream_t stream) {
    if (is_capturing(stream)) {
      return false;
    }
    const cublasLtMatmulAlgo_t* best = nullptr;
    float best_time = 0;
    const Candidates tried = candidates(problem, args, kCandidates);
    for (const auto& candidate : tried) {
      const float time = time_of(problem, candidate.algo, args, stream);
      // An earlier candidate stays unless it is clearly slower: fewer surprises from run to run.
      if (time > 0 && (best == nullptr || time < 0.97f * best_time)) {
        best = &candidate.algo;
        best_time = time;
      }
    }
    if (best == nullptr) {
      return false;
    }
    chosen_.emplace(key, *best);
    return run(problem, *best, args, stream);
  }

  // Milliseconds of kTimedRuns products, or 0 where the algorithm refuses.
  float time_of(Problem& problem, const cublasLtMatmulAlgo_t& algorithm, const GemmArgs& args,
                cudaStream_t stream) const {
    if (!run(problem, algorithm, args, stream)) {  // loads the kernel
      return 0;
    }
    const Event start = make_event();
    const Event end = make_event();
    TUTTI_CUDA(cudaEventRecord(start.get(), stream));
    for (int i = 0; i < kTimedRuns; ++i) {
      run(problem, algorithm, args, stream);
    }
    TUTTI_CUDA(cudaEventRecord(end.get(), stream));
    TUTTI_CUDA(cudaEventSynchronize(end.get()));
    float time = 0;
    TUTTI_CUDA(cudaEventElapsedTime(&time, start.get(), end.get()));
    return time;
  }

  Handle handle_ = make_handle();
  std::unique_ptr<void, MemoryFree> workspace_ = make_workspace();
  std::map<Key, cublasLtMatmulAlgo_t> chosen_;
};

}  // namespace

std::unique_ptr<GemmLibrary> make_gemm_library() {
  return std::make_unique<CublasLt>();
}

}  // namespace tutti
