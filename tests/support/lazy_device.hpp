// A device without hardware: what is enqueued runs when somebody waits for it, not before, so that
// whoever reads too early or writes too soon is found out. Its memory is the host's.
#pragma once

#include <algorithm>
#include <deque>
#include <utility>

#include "kernels/error.hpp"
#include "runtime/device/device.hpp"

namespace tutti::test {

class LazyDevice final : public Device {
 public:
  Place place() const override { return Place::cuda; }
  std::string name() const override { return "a lazy device"; }
  std::string uuid() const override { return "LAZY"; }
  DeviceMemoryInfo memory() const override { return {}; }
  std::size_t workspace_bytes() const override { return 0; }
  Exec exec() const override { return {.place = Place::cuda}; }

  DeviceMemory allocate(std::size_t bytes, std::string_view what) override {
    return poisoned(bytes, what);
  }
  DeviceMemory allocate_staging(std::size_t bytes, std::string_view what) override {
    return poisoned(bytes, what);
  }
  void copy_in(void* device, const void* host, std::size_t bytes) override {
    copy(device, host, bytes);
  }
  void copy_out(void* host, const void* device, std::size_t bytes) override {
    copy(host, device, bytes);
  }
  void fill_zero(void* device, std::size_t bytes) override {
    enqueue([=] { std::fill_n(static_cast<std::byte*>(device), bytes, std::byte{0}); });
  }
  void synchronize() override { run_until(enqueued_); }
  std::unique_ptr<DeviceEvent> make_event() override { return std::make_unique<Event>(*this); }
  std::unique_ptr<DeviceGraph> record(const std::function<void()>&) override {
    throw DeviceError("a lazy device records nothing");
  }

  void enqueue(std::function<void()> work) {
    queue_.push_back(std::move(work));
    ++enqueued_;
  }

 private:
  class Event final : public DeviceEvent {
   public:
    explicit Event(LazyDevice& device) : device_(device) {}
    void record() override { mark_ = device_.enqueued_; }
    void wait() override { device_.run_until(mark_); }
    // Whatever is enqueued takes a millisecond.
    float milliseconds_since(const DeviceEvent& earlier) const override {
      if (device_.done_ < mark_) {
        throw DeviceError("an event was read before the device had come to it");
      }
      return static_cast<float>(mark_ - dynamic_cast<const Event&>(earlier).mark_);
    }

   private:
    LazyDevice& device_;
    std::size_t mark_ = 0;
  };

  static DeviceMemory poisoned(std::size_t bytes, std::string_view what) {
    DeviceMemory memory = allocate_host(bytes, what);
    std::fill_n(memory.data(), bytes, std::byte{0x5a});
    return memory;
  }
  void copy(void* to, const void* from, std::size_t bytes) {
    enqueue([=] {
      std::copy_n(static_cast<const std::byte*>(from), bytes, static_cast<std::byte*>(to));
    });
  }
  void run_until(std::size_t mark) {
    for (; done_ < mark; ++done_) {
      const std::function<void()> work = std::move(queue_.front());
      queue_.pop_front();
      work();
    }
  }

  std::deque<std::function<void()>> queue_;
  std::size_t enqueued_ = 0;
  std::size_t done_ = 0;
};

}  // namespace tutti::test
