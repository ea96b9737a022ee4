#include <gmock/gmock.h>

#include <array>
#include <numeric>
#include <vector>

#include "kernels/error.hpp"
#include "tests/support/gpu_fixture.hpp"

namespace tutti {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::ThrowsMessage;

class CudaDeviceTest : public testing::GpuTest {};

std::vector<std::int32_t> counting(std::size_t count) {
  std::vector<std::int32_t> values(count);
  std::iota(values.begin(), values.end(), 1);
  return values;
}

TEST_F(CudaDeviceTest, TheLibraryListsTheGpuThatTheDeviceIs) {
  const CudaLibrary library = CudaLibrary::open();
  const std::vector<GpuFacts> gpus = library.gpus();
  ASSERT_FALSE(gpus.empty());
  EXPECT_EQ(gpus[0].ordinal, 0);
  EXPECT_EQ(gpus[0].name, device().name());
  EXPECT_EQ(gpus[0].uuid, device().uuid());
  EXPECT_THAT(gpus[0].uuid, MatchesRegex("GPU-[0-9a-f-]+"));
  EXPECT_EQ(gpus[0].uuid.size(), 40u) << gpus[0].uuid;
  EXPECT_THAT(gpus[0].bus_id, MatchesRegex("[0-9a-f]+:[0-9a-f]+:[0-9a-f]+.0"));
  EXPECT_GE(gpus[0].capability, 80);
  EXPECT_GE(gpus[0].total_bytes, device().memory().total_bytes);
  EXPECT_THAT(library.versions(),
              AllOf(HasSubstr("CUDA "), HasSubstr("driver for "), HasSubstr("cuBLAS ")));
}

TEST_F(CudaDeviceTest, AnOrdinalThatIsNotThereIsRefused) {
  const CudaLibrary library = CudaLibrary::open();
  EXPECT_THAT([&] { library.make_device(1000); },
              ThrowsMessage<DeviceError>(HasSubstr("GPU 1000 is wanted")));
  EXPECT_THROW(library.make_device(-1), DeviceError);
}

TEST_F(CudaDeviceTest, ExecNamesPlaceStreamAndOperations) {
  EXPECT_EQ(exec().place, Place::cuda);
  EXPECT_NE(exec().stream, nullptr);
  EXPECT_NE(exec().ops, nullptr);
  EXPECT_GE(device().workspace_bytes(), std::size_t{64} << 20);
}

TEST_F(CudaDeviceTest, CopiesGoThereAndBackThroughStagingMemory) {
  const std::size_t count = 1'000'003;
  const DeviceMemory staging = device().allocate_staging(2 * 4 * count, "a test's staging");
  auto* in = reinterpret_cast<std::int32_t*>(staging.data());
  auto* out = in + count;
  std::iota(in, in + count, 1);
  std::fill(out, out + count, -1);
  const testing::GpuArray array =
      testing::gpu_array(device(), DType::i32, {static_cast<std::int64_t>(count)});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(array.view.data) % 256, 0u);
  device().copy_in(array.view.data, in, 4 * count);
  device().fill_zero(static_cast<std::byte*>(array.view.data) + 4, 4);
  device().copy_out(out, array.view.data, 4 * count);
  device().synchronize();
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_EQ(out[i], i == 1 ? 0 : in[i]) << "element " << i;
  }
}

TEST_F(CudaDeviceTest, MemoryIsGivenBackWithItsOwner) {
  constexpr std::size_t kBytes = std::size_t{512} << 20;
  const std::size_t before = device().memory().free_bytes;
  {
    const DeviceMemory memory = device().allocate(kBytes, "a test's array");
    EXPECT_EQ(memory.bytes(), kBytes);
    EXPECT_LE(device().memory().free_bytes + kBytes, before + (std::size_t{64} << 20));
  }
  EXPECT_GE(device().memory().free_bytes + (std::size_t{64} << 20), before);
  EXPECT_EQ(device().allocate(0, "nothing").data(), nullptr);
}

TEST_F(CudaDeviceTest, MemoryThatIsShortIsACapacityErrorWithWhatIsFreeAndWhere) {
  const std::size_t wanted = device().memory().total_bytes + (std::size_t{1} << 30);
  for (int repeat = 0; repeat < 2; ++repeat) {  // it does not stick
    EXPECT_THAT([&] { device().allocate(wanted, "the KV cache"); },
                ThrowsMessage<CapacityError>(
                    AllOf(HasSubstr("the KV cache"), HasSubstr(std::to_string(wanted)),
                          HasSubstr("GiB are free on GPU 0"), HasSubstr(device().uuid()))));
  }
  const testing::GpuArray after = testing::to_gpu(device(), {3}, {1, 2, 3});
  EXPECT_THAT(testing::ints_of(device(), after.view), ::testing::ElementsAre(1, 2, 3));
}

TEST_F(CudaDeviceTest, EventsTimeWhatLiesBetweenThem) {
  constexpr std::size_t kBytes = std::size_t{256} << 20;
  const DeviceMemory memory = device().allocate(kBytes, "a test's array");
  const auto start = device().make_event();
  const auto end = device().make_event();
  start->record();
  device().fill_zero(memory.data(), kBytes);
  end->record();
  end->wait();
  EXPECT_GT(end->milliseconds_since(*start), 0.0f);
}

TEST_F(CudaDeviceTest, RecordedWorkRunsAtEachReplayAndNotBefore) {
  const std::vector<std::int32_t> values = counting(1000);
  const DeviceMemory staging = device().allocate_staging(4000, "a test's staging");
  std::memcpy(staging.data(), values.data(), 4000);
  const testing::GpuArray array =
      testing::to_gpu(device(), {1000}, std::vector<std::int32_t>(1000, -1));
  int calls = 0;
  const auto graph = device().record([&] {
    ++calls;
    device().copy_in(array.view.data, staging.data(), 4000);
  });
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(testing::ints_of(device(), array.view), std::vector<std::int32_t>(1000, -1));
  graph->replay();
  EXPECT_EQ(testing::ints_of(device(), array.view), values);
  device().fill_zero(array.view.data, 4000);
  graph->replay();
  EXPECT_EQ(testing::ints_of(device(), array.view), values);
  EXPECT_EQ(calls, 1);
}

TEST_F(CudaDeviceTest, AFailureWhileRecordingLeavesTheStreamUsable) {
  const testing::GpuArray array = testing::to_gpu(device(), {3}, {1, 2, 3});
  EXPECT_THROW(device().record([&] {
    device().fill_zero(array.view.data, 12);
    throw ConfigError("a failure in the middle");
  }),
               ConfigError);
  EXPECT_THAT(testing::ints_of(device(), array.view), ::testing::ElementsAre(1, 2, 3));
}

}  // namespace
}  // namespace tutti
