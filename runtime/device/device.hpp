// Where a rank computes: memory, copies, a stream in order, and replays of recorded work. The host
// is one too, so that everything above is written once.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "kernels/exec.hpp"

namespace tutti {

// Bytes at one place, freed with their owner. Move-only.
class DeviceMemory {
 public:
  using Free = void (*)(void* memory, std::size_t bytes) noexcept;

  DeviceMemory() = default;
  DeviceMemory(void* data, std::size_t bytes, Free free)
      : data_(data), bytes_(bytes), free_(free) {}
  DeviceMemory(DeviceMemory&& other) noexcept;
  DeviceMemory& operator=(DeviceMemory&& other) noexcept;
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  ~DeviceMemory();

  std::byte* data() const { return static_cast<std::byte*>(data_); }
  std::size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  Free free_ = nullptr;
};

// Work that was recorded once and is replayed as a whole.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  virtual void replay() = 0;  // enqueued on the device's stream
};

// A point in the device's stream.
class DeviceEvent {
 public:
  virtual ~DeviceEvent() = default;
  virtual void record() = 0;  // behind everything enqueued so far
  virtual void wait() = 0;    // the host waits until it is reached
  virtual float milliseconds_since(const DeviceEvent& earlier) const = 0;  // both reached
};

struct DeviceMemoryInfo {
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
};

// All calls on the thread that made it. Errors: DeviceError; CapacityError where memory is short,
// naming what wanted how much, how much is free, and on which device.
class Device {
 public:
  virtual ~Device() = default;

  virtual Place place() const = 0;
  virtual std::string name() const = 0;  // "host", "NVIDIA H100 80GB HBM3"
  virtual std::string uuid() const = 0;  // "GPU-…"; empty for the host
  virtual DeviceMemoryInfo memory() const = 0;
  virtual std::size_t workspace_bytes() const = 0;  // that its operations keep for themselves
  // What kernels are handed: place, operations, the one stream.
  virtual Exec exec() const = 0;

  // Not initialised, 256-byte aligned. `what` is for messages: "the KV cache".
  virtual DeviceMemory allocate(std::size_t bytes, std::string_view what) = 0;
  // Host memory that copies to and from the device run fastest with.
  virtual DeviceMemory allocate_staging(std::size_t bytes, std::string_view what) = 0;

  // Asynchronous in the stream; host memory must stay until it is reached (staging memory, or wait
  // for synchronize()).
  virtual void copy_in(void* device, const void* host, std::size_t bytes) = 0;
  virtual void copy_out(void* host, const void* device, std::size_t bytes) = 0;
  virtual void fill_zero(void* device, std::size_t bytes) = 0;
  virtual void synchronize() = 0;

  virtual std::unique_ptr<DeviceEvent> make_event() = 0;
  // Records what `work` enqueues on exec().stream, without executing it: the function runs once,
  // now, on a device; the host keeps it, with what it captured, and calls it at each replay.
  virtual std::unique_ptr<DeviceGraph> record(const std::function<void()>& work) = 0;
};

std::unique_ptr<Device> make_host_device(int threads);

// Memory of the host where no Device is at hand; 256-byte aligned, not initialised: each thread's
// first touch places the pages. Errors: CapacityError.
DeviceMemory allocate_host(std::size_t bytes, std::string_view what);

}  // namespace tutti
