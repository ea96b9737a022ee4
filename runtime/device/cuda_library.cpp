#include "runtime/device/cuda_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <string_view>

#include "kernels/error.hpp"
#include "runtime/device/cuda_entry.hpp"

namespace tutti {
namespace {

constexpr const char* kName = "libtutti_cuda.so";

std::string last_error() {
  const char* text = ::dlerror();
  return text != nullptr ? text : "no reason given";
}

// The entry of that name, with the type that cuda_entry.hpp declares.
#define TUTTI_ENTRY(library, name) reinterpret_cast<decltype(&(name))>((library).entry(#name))

}  // namespace

CudaLibrary CudaLibrary::open() {
  // By its bare name, so that the loader looks in the program's RUNPATH: the library folder of an
  // installation wherever it was moved, or that of the build.
  void* handle = ::dlopen(kName, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    throw DeviceError(fmt::format(
        "GPUs need {}, which did not load: {} (it lies in the library folder beside the program's; "
        "builds without CUDA have none)",
        kName, last_error()));
  }
  CudaLibrary library(handle);
  const auto build = TUTTI_ENTRY(library, tutti_cuda_build);
  if (std::string_view(build()) != TUTTI_VERSION) {
    throw DeviceError(
        fmt::format("{} belongs to Tutti {}, this program is {}: it was found through "
                    "LD_LIBRARY_PATH or an installation that is not whole",
                    kName, build(), TUTTI_VERSION));
  }
  return library;
}

void* CudaLibrary::entry(const char* name) const {
  void* address = ::dlsym(handle_, name);
  if (address == nullptr) {
    throw DeviceError(fmt::format("{} is not of this program's build: {}", kName, last_error()));
  }
  return address;
}

std::vector<GpuFacts> CudaLibrary::gpus() const {
  std::vector<GpuFacts> found;
  TUTTI_ENTRY(*this, tutti_cuda_gpus)(found);
  return found;
}

std::vector<std::pair<int, int>> CudaLibrary::gpus_apart() const {
  std::vector<std::pair<int, int>> found;
  TUTTI_ENTRY(*this, tutti_cuda_gpus_apart)(found);
  return found;
}

std::unique_ptr<Device> CudaLibrary::make_device(int ordinal) const {
  std::unique_ptr<Device> device;
  TUTTI_ENTRY(*this, tutti_cuda_make_device)(ordinal, device);
  return device;
}

std::string CudaLibrary::versions() const {
  std::string text;
  TUTTI_ENTRY(*this, tutti_cuda_versions)(text);
  return text;
}

}  // namespace tutti
