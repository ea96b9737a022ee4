#include <gmock/gmock.h>

#include <array>
#include <cstdint>
#include <limits>
#include <utility>

#include "kernels/error.hpp"
#include "runtime/device/device.hpp"

namespace tutti {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(DeviceMemory, IsFreedOnceByItsLastOwner) {
  static int freed = 0;
  freed = 0;
  std::array<std::byte, 8> place{};
  {
    DeviceMemory first(place.data(), 8,
                       [](void*, std::size_t bytes) noexcept { freed += static_cast<int>(bytes); });
    DeviceMemory second(std::move(first));
    EXPECT_EQ(first.data(), nullptr);
    EXPECT_EQ(second.data(), place.data());
    DeviceMemory third;
    third = std::move(second);
    EXPECT_EQ(third.bytes(), 8u);
    EXPECT_EQ(freed, 0);
    third = DeviceMemory();
    EXPECT_EQ(freed, 8);
  }
  EXPECT_EQ(freed, 8);
}

TEST(HostDevice, HandsKernelsItsThreadsAndNoOperations) {
  const auto device = make_host_device(3);
  EXPECT_EQ(device->place(), Place::host);
  EXPECT_EQ(device->exec().place, Place::host);
  EXPECT_EQ(device->exec().threads, 3);
  EXPECT_EQ(device->exec().ops, nullptr);
  EXPECT_EQ(device->name(), "host");
  EXPECT_EQ(device->workspace_bytes(), 0u);
}

TEST(HostDevice, KnowsItsMemory) {
  const DeviceMemoryInfo memory = make_host_device(1)->memory();
  EXPECT_GT(memory.free_bytes, 0u);
  EXPECT_LE(memory.free_bytes, memory.total_bytes);
}

TEST(HostDevice, MemoryIsAlignedAndCopiesAreDoneAtOnce) {
  const auto device = make_host_device(1);
  const DeviceMemory memory = device->allocate(12, "a test's array");
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.data()) % 256, 0u);
  const std::array<std::int32_t, 3> in{1, -2, 3};
  std::array<std::int32_t, 3> out{};
  device->copy_in(memory.data(), in.data(), 12);
  device->fill_zero(memory.data() + 4, 4);
  device->copy_out(out.data(), memory.data(), 12);
  EXPECT_THAT(out, ElementsAre(1, 0, 3));
}

TEST(HostDevice, NoBytesNeedNoMemory) {
  const auto device = make_host_device(1);
  EXPECT_EQ(device->allocate(0, "nothing").data(), nullptr);
  device->copy_in(nullptr, nullptr, 0);
  device->fill_zero(nullptr, 0);
}

TEST(HostDevice, MemoryThatIsShortIsACapacityErrorThatNamesWhoWantedIt) {
#ifdef TUTTI_SANITIZED
  GTEST_SKIP() << "sanitizers end the program where memory is short";
#endif
  const auto device = make_host_device(1);
  EXPECT_THAT([&] { device->allocate(std::size_t{1} << 62, "the KV cache"); },
              ThrowsMessage<CapacityError>(
                  AllOf(HasSubstr("the KV cache"), HasSubstr("4611686018427387904 bytes"))));
}

TEST(HostDevice, RecordedWorkRunsAtEachReplayAndNotBefore) {
  const auto device = make_host_device(1);
  int calls = 0;
  const auto graph = device->record([&] { ++calls; });
  EXPECT_EQ(calls, 0);
  graph->replay();
  graph->replay();
  EXPECT_EQ(calls, 2);
}

TEST(HostDevice, EventsAreInTheOrderOfTheirRecords) {
  const auto device = make_host_device(1);
  const auto first = device->make_event();
  const auto second = device->make_event();
  first->record();
  second->record();
  second->wait();
  EXPECT_GE(second->milliseconds_since(*first), 0.0f);
}

}  // namespace
}  // namespace tutti
