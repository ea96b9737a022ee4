#include "runtime/device/cuda_entry.hpp"

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <cstdlib>

#include "kernels/cuda_context.cuh"
#include "kernels/error.hpp"
#include "runtime/device/cuda_device.hpp"

// nccl.h is at home in runtime/comm; the version is all that is wanted here. Weak: a library that
// was linked without NCCL says so.
extern "C" int ncclGetVersion(int* version) __attribute__((weak));

namespace tutti {
namespace {

std::string cuda_version(int version) {  // 13000 is 13.0
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

std::string library_version(std::size_t version) {  // 130100 is 13.1.0
  return fmt::format("{}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
}

int driver_version() {
  int version = 0;  // stays where no driver is installed
  cudaDriverGetVersion(&version);
  return version;
}

// Why there is no GPU: the runtime has one answer for a missing driver and for an old one.
std::string reason(cudaError_t result) {
  const std::string text =
      fmt::format("{} ({})", cudaGetErrorString(result), cudaGetErrorName(result));
  const int driver = driver_version();
  if (driver == 0) {
    return fmt::format("no NVIDIA driver is loaded here: {}", text);
  }
  if (result == cudaErrorInsufficientDriver) {
    return fmt::format("the driver is for CUDA {}, this build wants {} or later: {}",
                       cuda_version(driver), cuda_version(CUDART_VERSION), text);
  }
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return visible != nullptr ? fmt::format("{}; CUDA_VISIBLE_DEVICES is \"{}\"", text, visible)
                            : text;
}

int gpu_count() {
  int count = 0;
  const cudaError_t result = cudaGetDeviceCount(&count);
  if (result != cudaSuccess || count == 0) {
    cudaGetLastError();
    throw DeviceError(fmt::format("no GPU can be used: {}",
                                  reason(result != cudaSuccess ? result : cudaErrorNoDevice)));
  }
  return count;
}

GpuFacts facts_of(int ordinal) {
  cudaDeviceProp properties{};
  TUTTI_CUDA(cudaGetDeviceProperties(&properties, ordinal));
  return {.ordinal = ordinal,
          .name = properties.name,
          .uuid = uuid_text(properties.uuid),
          .bus_id = fmt::format("{:04x}:{:02x}:{:02x}.0", properties.pciDomainID,
                                properties.pciBusID, properties.pciDeviceID),
          .capability = 10 * properties.major + properties.minor,
          .total_bytes = properties.totalGlobalMem};
}

std::string nccl_version() {
  int version = 0;
  if (ncclGetVersion == nullptr || ncclGetVersion(&version) != 0) {
    return "no NCCL";
  }
  return "NCCL " + library_version(static_cast<std::size_t>(version));
}

}  // namespace
}  // namespace tutti

const char* tutti_cuda_build() {
  return TUTTI_VERSION;
}

void tutti_cuda_gpus(std::vector<tutti::GpuFacts>& gpus) {
  const int count = tutti::gpu_count();
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    gpus.push_back(tutti::facts_of(ordinal));
  }
}

void tutti_cuda_gpus_apart(std::vector<std::pair<int, int>>& pairs) {
  const int count = tutti::gpu_count();
  for (int a = 0; a < count; ++a) {
    for (int b = a + 1; b < count; ++b) {
      int there = 0;
      int back = 0;
      TUTTI_CUDA(cudaDeviceCanAccessPeer(&there, a, b));
      TUTTI_CUDA(cudaDeviceCanAccessPeer(&back, b, a));
      if (there == 0 || back == 0) {
        pairs.emplace_back(a, b);
      }
    }
  }
}

void tutti_cuda_make_device(int ordinal, std::unique_ptr<tutti::Device>& device) {
  const int count = tutti::gpu_count();
  if (ordinal < 0 || ordinal >= count) {
    throw tutti::DeviceError(
        fmt::format("GPU {} is wanted, this process sees {}: 0..{}", ordinal, count, count - 1));
  }
  device = std::make_unique<tutti::CudaDevice>(ordinal);
}

void tutti_cuda_versions(std::string& versions) {
  int runtime = 0;
  TUTTI_CUDA(cudaRuntimeGetVersion(&runtime));
  const int driver = tutti::driver_version();
  versions = fmt::format("CUDA {}, {}, cuBLAS {}, {}", tutti::cuda_version(runtime),
                         driver == 0 ? "no driver" : "driver for " + tutti::cuda_version(driver),
                         tutti::library_version(cublasLtGetVersion()), tutti::nccl_version());
}
