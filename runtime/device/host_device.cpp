// The host as a device: everything is done when a call returns.
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <new>
#include <utility>

#include "kernels/error.hpp"
#include "runtime/device/device.hpp"

namespace tutti {
namespace {

constexpr std::size_t kAlignment = 256;  // bytes, as a device's memory has it

// A line of /proc/meminfo, in bytes; 0 where there is none.
std::size_t meminfo(const std::string& field) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(field + ":")) {
      return std::strtoull(line.c_str() + field.size() + 1, nullptr, 10) * 1024;
    }
  }
  return 0;
}

class HostGraph final : public DeviceGraph {
 public:
  explicit HostGraph(std::function<void()> work) : work_(std::move(work)) {}
  void replay() override { work_(); }

 private:
  std::function<void()> work_;
};

class HostEvent final : public DeviceEvent {
 public:
  void record() override { reached_ = std::chrono::steady_clock::now(); }
  void wait() override {}
  float milliseconds_since(const DeviceEvent& earlier) const override {
    const auto& start = dynamic_cast<const HostEvent&>(earlier);
    return std::chrono::duration<float, std::milli>(reached_ - start.reached_).count();
  }

 private:
  std::chrono::steady_clock::time_point reached_;
};

class HostDevice final : public Device {
 public:
  explicit HostDevice(int threads) : threads_(threads) {}

  Place place() const override { return Place::host; }
  std::string name() const override { return "host"; }
  std::string uuid() const override { return ""; }
  DeviceMemoryInfo memory() const override {
    return {.free_bytes = meminfo("MemAvailable"), .total_bytes = meminfo("MemTotal")};
  }
  std::size_t workspace_bytes() const override { return 0; }
  Exec exec() const override { return {.place = Place::host, .threads = threads_}; }

  DeviceMemory allocate(std::size_t bytes, std::string_view what) override {
    return allocate_host(bytes, what);
  }
  DeviceMemory allocate_staging(std::size_t bytes, std::string_view what) override {
    return allocate_host(bytes, what);
  }

  void copy_in(void* device, const void* host, std::size_t bytes) override {
    copy(device, host, bytes);
  }
  void copy_out(void* host, const void* device, std::size_t bytes) override {
    copy(host, device, bytes);
  }
  void fill_zero(void* device, std::size_t bytes) override {
    if (bytes > 0) {
      std::memset(device, 0, bytes);
    }
  }
  void synchronize() override {}

  std::unique_ptr<DeviceEvent> make_event() override { return std::make_unique<HostEvent>(); }
  std::unique_ptr<DeviceGraph> record(const std::function<void()>& work) override {
    return std::make_unique<HostGraph>(work);
  }

 private:
  static void copy(void* to, const void* from, std::size_t bytes) {
    if (bytes > 0) {
      std::memcpy(to, from, bytes);
    }
  }

  int threads_;
};

}  // namespace

DeviceMemory allocate_host(std::size_t bytes, std::string_view what) {
  if (bytes == 0) {
    return {};
  }
  void* memory = ::operator new (bytes, std::align_val_t{kAlignment}, std::nothrow);
  if (memory == nullptr) {
    throw CapacityError(fmt::format("out of memory: {} needs {} bytes ({:.1f} GiB)", what, bytes,
                                    static_cast<double>(bytes) / 0x1p30));
  }
  return {memory, bytes, [](void* data, std::size_t) noexcept {
            ::operator delete (data, std::align_val_t{kAlignment});
          }};
}

std::unique_ptr<Device> make_host_device(int threads) {
  return std::make_unique<HostDevice>(threads);
}

}  // namespace tutti
