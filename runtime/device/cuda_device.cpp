#include "runtime/device/cuda_device.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "kernels/cuda_context.cuh"
#include "kernels/cuda_ops.hpp"
#include "kernels/error.hpp"
#include "runtime/device/cuda_staging.hpp"

namespace tutti {
namespace {

double gib(std::size_t bytes) {
  return static_cast<double>(bytes) / 0x1p30;
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "an unnamed host";
}

CudaStream make_stream() {
  cudaStream_t stream = nullptr;
  TUTTI_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return CudaStream(stream);
}

class RecordedGraph final : public DeviceGraph {
 public:
  RecordedGraph(CudaGraphExec graph, cudaStream_t stream)
      : graph_(std::move(graph)), stream_(stream) {}
  void replay() override { TUTTI_CUDA(cudaGraphLaunch(graph_.get(), stream_)); }

 private:
  CudaGraphExec graph_;
  cudaStream_t stream_;
};

class StreamEvent final : public DeviceEvent {
 public:
  explicit StreamEvent(cudaStream_t stream) : stream_(stream) {
    cudaEvent_t event = nullptr;
    TUTTI_CUDA(cudaEventCreate(&event));
    event_.reset(event);
  }
  void record() override { TUTTI_CUDA(cudaEventRecord(event_.get(), stream_)); }
  void wait() override { TUTTI_CUDA(cudaEventSynchronize(event_.get())); }
  float milliseconds_since(const DeviceEvent& earlier) const override {
    const auto& start = dynamic_cast<const StreamEvent&>(earlier);
    float milliseconds = 0;
    TUTTI_CUDA(cudaEventElapsedTime(&milliseconds, start.event_.get(), event_.get()));
    return milliseconds;
  }

 private:
  cudaStream_t stream_;
  CudaEvent event_;
};

// Between begin and end of a capture; ends it where `work` throws, so that the stream is usable.
class Capture {
 public:
  explicit Capture(cudaStream_t stream) : stream_(stream) {
    TUTTI_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  }
  ~Capture() {
    if (stream_ != nullptr) {
      cudaGraph_t graph = nullptr;
      cudaStreamEndCapture(stream_, &graph);
      const CudaGraph discarded(graph);
      cudaGetLastError();  // the failure that is under way says more
    }
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  CudaGraph end() {
    cudaGraph_t graph = nullptr;
    TUTTI_CUDA(cudaStreamEndCapture(std::exchange(stream_, nullptr), &graph));
    return CudaGraph(graph);
  }

 private:
  cudaStream_t stream_;
};

}  // namespace

std::string uuid_text(const cudaUUID_t& uuid) {
  std::string text = "GPU";
  for (std::size_t i = 0; i < sizeof(uuid.bytes); ++i) {
    const bool dash = i == 0 || i == 4 || i == 6 || i == 8 || i == 10;
    text += fmt::format("{}{:02x}", dash ? "-" : "", static_cast<unsigned char>(uuid.bytes[i]));
  }
  return text;
}

CudaDevice::CudaDevice(int ordinal) : ordinal_(ordinal) {
  cudaDeviceProp properties{};
  TUTTI_CUDA(cudaGetDeviceProperties(&properties, ordinal));
  name_ = properties.name;
  uuid_ = uuid_text(properties.uuid);
  if (properties.major < 8) {
    throw DeviceError(
        fmt::format("GPU {} ({}) of {} has compute capability {}.{}, wanted 8.0 or "
                    "later",
                    ordinal, name_, host_name(), properties.major, properties.minor));
  }
  try {
    TUTTI_CUDA(cudaSetDevice(ordinal));
    // Kernels that leave the split of a multiprocessor's memory to the runtime would have it
    // changed between products, which cannot happen while another kernel's blocks are there.
    TUTTI_CUDA(cudaDeviceSetCacheConfig(cudaFuncCachePreferShared));
    TUTTI_CUDA(cudaFree(nullptr));  // makes the context, where a full GPU would first show
    stream_ = make_stream();
    ops_ = make_cuda_ops();
  } catch (const CapacityError& error) {
    throw CapacityError(fmt::format(
        "out of memory before any weight: context and workspace of the operations do not fit, "
        "{}; does another process hold its memory? ({})",
        describe_memory(), error.what()));
  }
}

CudaDevice::~CudaDevice() {
  if (stream_) {
    cudaStreamSynchronize(stream_.get());
  }
}

// "1.2 of 79.1 GiB are free on GPU 0 (NVIDIA H100 80GB HBM3, GPU-…) of node17".
std::string CudaDevice::describe_memory() const {
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
  const bool known = cudaMemGetInfo(&free_bytes, &total_bytes) == cudaSuccess;
  if (!known) {
    cudaGetLastError();
  }
  const std::string amount =
      known ? fmt::format("{:.1f} of {:.1f} GiB are", gib(free_bytes), gib(total_bytes))
            : "an unknown part is";
  return fmt::format("{} free on GPU {} ({}, {}) of {}", amount, ordinal_, name_, uuid_,
                     host_name());
}

DeviceMemoryInfo CudaDevice::memory() const {
  DeviceMemoryInfo info;
  TUTTI_CUDA(cudaMemGetInfo(&info.free_bytes, &info.total_bytes));
  return info;
}

std::size_t CudaDevice::workspace_bytes() const {
  return ops_->workspace_bytes();
}

Exec CudaDevice::exec() const {
  return {.place = Place::cuda, .ops = ops_.get(), .stream = stream_.get()};
}

DeviceMemory CudaDevice::allocate(std::size_t bytes, std::string_view what) {
  if (bytes == 0) {
    return {};
  }
  void* memory = nullptr;
  try {
    TUTTI_CUDA(cudaMalloc(&memory, bytes));
  } catch (const CapacityError&) {
    throw CapacityError(fmt::format("out of memory: {} needs {} bytes ({:.1f} GiB), {}", what,
                                    bytes, gib(bytes), describe_memory()));
  }
  return {memory, bytes, [](void* data, std::size_t) noexcept { cudaFree(data); }};
}

DeviceMemory CudaDevice::allocate_staging(std::size_t bytes, std::string_view what) {
  if (bytes == 0) {
    return {};
  }
  try {
    return allocate_pinned(bytes);
  } catch (const CapacityError& error) {
    throw CapacityError(
        fmt::format("out of memory: {} needs {} bytes ({:.1f} GiB) of the host {}, pinned for "
                    "copies (ulimit -l?): {}",
                    what, bytes, gib(bytes), host_name(), error.what()));
  }
}

void CudaDevice::copy_in(void* device, const void* host, std::size_t bytes) {
  TUTTI_CUDA(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream_.get()));
}

void CudaDevice::copy_out(void* host, const void* device, std::size_t bytes) {
  TUTTI_CUDA(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream_.get()));
}

void CudaDevice::fill_zero(void* device, std::size_t bytes) {
  if (bytes > 0) {
    TUTTI_CUDA(cudaMemsetAsync(device, 0, bytes, stream_.get()));
  }
}

void CudaDevice::synchronize() {
  TUTTI_CUDA(cudaStreamSynchronize(stream_.get()));
}

std::unique_ptr<DeviceEvent> CudaDevice::make_event() {
  return std::make_unique<StreamEvent>(stream_.get());
}

std::unique_ptr<DeviceGraph> CudaDevice::record(const std::function<void()>& work) {
  Capture capture(stream_.get());
  work();
  const CudaGraph graph = capture.end();
  cudaGraphExec_t made = nullptr;
  TUTTI_CUDA(cudaGraphInstantiate(&made, graph.get(), 0));
  CudaGraphExec executable(made);
  TUTTI_CUDA(cudaGraphUpload(executable.get(), stream_.get()));  // not at the first replay
  return std::make_unique<RecordedGraph>(std::move(executable), stream_.get());
}

}  // namespace tutti
