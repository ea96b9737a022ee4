// One GPU as a Device.
#pragma once

#include <cuda_runtime_api.h>

#include "runtime/device/cuda_handles.hpp"
#include "runtime/device/device.hpp"

namespace tutti {

// "GPU-5a1b…", as nvidia-smi writes it.
std::string uuid_text(const cudaUUID_t& uuid);

class CudaDevice final : public Device {
 public:
  // Makes the GPU current on this thread, for good. Errors: DeviceError, CapacityError.
  explicit CudaDevice(int ordinal);
  ~CudaDevice() override;
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  Place place() const override { return Place::cuda; }
  std::string name() const override { return name_; }
  std::string uuid() const override { return uuid_; }
  DeviceMemoryInfo memory() const override;
  std::size_t workspace_bytes() const override;
  Exec exec() const override;

  DeviceMemory allocate(std::size_t bytes, std::string_view what) override;
  DeviceMemory allocate_staging(std::size_t bytes, std::string_view what) override;

  void copy_in(void* device, const void* host, std::size_t bytes) override;
  void copy_out(void* host, const void* device, std::size_t bytes) override;
  void fill_zero(void* device, std::size_t bytes) override;
  void synchronize() override;

  std::unique_ptr<DeviceEvent> make_event() override;
  std::unique_ptr<DeviceGraph> record(const std::function<void()>& work) override;

 private:
  std::string describe_memory() const;

  int ordinal_;
  std::string name_;
  std::string uuid_;
  CudaStream stream_;
  std::unique_ptr<DeviceOps> ops_;
};

}  // namespace tutti
