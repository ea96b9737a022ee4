// The library with the device code, loaded when a device is wanted: NCCL and cuBLASLt weigh
// hundreds of megabytes, and the program must start where there is no driver.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/device/device.hpp"

namespace tutti {

struct GpuFacts {
  int ordinal = 0;  // among those visible to this process
  std::string name;
  std::string uuid;
  std::string bus_id;
  int capability = 0;  // 80, 90, …
  std::size_t total_bytes = 0;
};

// Loaded at most once a process and never unloaded: CUDA's own threads and the devices made here
// run its code until the process ends. So this owns nothing, and copies are cheap.
class CudaLibrary {
 public:
  // libtutti_cuda.so beside the program or in its library folder. Errors: DeviceError that says
  // what was looked for, and why it did not load.
  static CudaLibrary open();

  // The GPUs this process may use. Errors: DeviceError with the driver's reason (no driver, driver
  // too old, …).
  std::vector<GpuFacts> gpus() const;
  // Pairs of those GPUs, by ordinals, that cannot reach each other's memory. Errors: DeviceError.
  std::vector<std::pair<int, int>> gpus_apart() const;
  // Errors: DeviceError for an ordinal that is not there, CapacityError for a GPU that is full.
  std::unique_ptr<Device> make_device(int ordinal) const;
  // "CUDA 13.0, driver for 13.0, cuBLAS 13.1.0, NCCL 2.28.3": of the loaded libraries.
  std::string versions() const;
  // Address of an entry of the library, for the module that knows its type. Errors: DeviceError.
  void* entry(const char* name) const;

 private:
  explicit CudaLibrary(void* handle) : handle_(handle) {}
  void* handle_;
};

}  // namespace tutti
