#include "runtime/weights/weight_source.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <new>

#include "kernels/error.hpp"
#include "runtime/weights/staged_load.hpp"
#include "tests/runtime/weights/slice_fixture.hpp"

namespace tutti {
namespace {

using namespace test;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// The host with the calls of another device passed on, so that loading goes by staging memory; the
// copy after `copies` fails.
class FailingDevice final : public Device {
 public:
  explicit FailingDevice(int copies) : copies_(copies) {}

  Place place() const override { return host_->place(); }
  std::string name() const override { return "a device that fails"; }
  std::string uuid() const override { return ""; }
  DeviceMemoryInfo memory() const override { return host_->memory(); }
  std::size_t workspace_bytes() const override { return 0; }
  Exec exec() const override { return host_->exec(); }
  DeviceMemory allocate(std::size_t bytes, std::string_view what) override {
    return host_->allocate(bytes, what);
  }
  DeviceMemory allocate_staging(std::size_t bytes, std::string_view what) override {
    return host_->allocate(bytes, what);
  }
  void copy_in(void* device, const void* host, std::size_t bytes) override {
    if (copies_-- == 0) {
      throw DeviceError("the link is down");
    }
    host_->copy_in(device, host, bytes);
  }
  void copy_out(void* host, const void* device, std::size_t bytes) override {
    host_->copy_out(host, device, bytes);
  }
  void fill_zero(void* device, std::size_t bytes) override { host_->fill_zero(device, bytes); }
  void synchronize() override {}
  std::unique_ptr<DeviceEvent> make_event() override { return host_->make_event(); }
  std::unique_ptr<DeviceGraph> record(const std::function<void()>& work) override {
    return host_->record(work);
  }

 private:
  std::unique_ptr<Device> host_ = make_host_device(1);
  int copies_;
};

class WeightSourceTest : public ::testing::Test {
 protected:
  WeightSourceTest() : path_(folder_ / "m.h5") { write_model(path_, layer_contents()); }

  static std::vector<WeightSlice> matrices() {
    std::vector<WeightSlice> slices = layer_slices();
    std::erase_if(slices, [](const WeightSlice& slice) {
      return slice.layout == WeightSlice::Layout::vector;
    });
    return slices;
  }

  ModelFolder folder_;
  std::filesystem::path path_;
};

TEST_F(WeightSourceTest, EverySliceIsLoadedOnTheHostWhateverItsLayoutAndTheReaders) {
  const ModelFile file(path_);
  const auto device = make_host_device(1);
  for (const bool check : {true, false}) {
    for (const int threads : {1, 3}) {
      std::atomic<std::uint64_t> bytes = 0;
      const ModelFileSource source(file, {.check = check, .threads = threads},
                                   [&](std::uint64_t more) { bytes += more; });
      std::vector<WeightSlice> slices = layer_slices();
      const std::vector<Tensor> tensors = allocate(*device, source, slices);
      source.load(*device, slices);
      std::uint64_t wanted = 0;
      for (const WeightSlice& slice : slices) {
        EXPECT_EQ(difference(expected_of(file, slice), contents_of(*device, slice.to)), "")
            << slice.name << ", check " << check << ", threads " << threads;
        wanted += read(file, *file.find(slice.name), slice.rows).size();
      }
      EXPECT_EQ(bytes, wanted);
    }
  }
}

TEST_F(WeightSourceTest, StagedLoadingGivesTheSameAsReadingInPlace) {
  const ModelFile file(path_);
  const auto device = make_host_device(2);
  for (const bool check : {true, false}) {
    for (const int threads : {1, 2, 20}) {  // 20: more readers than blocks
      std::atomic<std::uint64_t> bytes = 0;
      const std::function<void(std::uint64_t)> on_bytes = [&](std::uint64_t more) {
        bytes += more;
      };
      const ModelFileSource source(file, {});
      std::vector<WeightSlice> slices = matrices();
      const std::vector<Tensor> tensors = allocate(*device, source, slices);
      load_staged(
          *device,
          {.file = file, .options = {.check = check, .threads = threads}, .on_bytes = on_bytes},
          slices);
      std::uint64_t wanted = 0;
      for (const WeightSlice& slice : slices) {
        EXPECT_EQ(difference(expected_of(file, slice), contents_of(*device, slice.to)), "")
            << slice.name << ", check " << check << ", threads " << threads;
        wanted += slice.to.bytes();
      }
      EXPECT_EQ(bytes, wanted);
    }
  }
}

TEST_F(WeightSourceTest, NothingToLoadIsNoWork) {
  const ModelFile file(path_);
  const auto device = make_host_device(1);
  const ModelFileSource source(file, {});
  source.load(*device, {});
  load_staged(*device, {.file = file, .options = {}, .on_bytes = {}}, {});
}

TEST_F(WeightSourceTest, DamageThatAReaderFindsIsReportedByBothWays) {
  flip_tensor_byte(path_, "down", 3'000'000);
  const ModelFile file(path_);
  const auto device = make_host_device(1);
  for (const int threads : {1, 3}) {
    const FileReading from{
        .file = file, .options = {.check = true, .threads = threads}, .on_bytes = {}};
    const ModelFileSource source(file, from.options);
    std::vector<WeightSlice> slices = matrices();
    const std::vector<Tensor> tensors = allocate(*device, source, slices);
    const auto damage = ThrowsMessage<ModelFileError>(
        AllOf(HasSubstr("m.h5"), HasSubstr("down, rows"), HasSubstr("XXH3")));
    EXPECT_THAT([&] { source.load(*device, slices); }, damage);
    EXPECT_THAT([&] { load_staged(*device, from, slices); }, damage);
  }
}

TEST_F(WeightSourceTest, ADeviceThatFailsEndsTheReadersAndIsReported) {
  const ModelFile file(path_);
  const ModelFileSource source(file, {});
  for (const int copies : {0, 1, 5}) {
    FailingDevice device(copies);
    std::vector<WeightSlice> slices = matrices();
    const std::vector<Tensor> tensors = allocate(device, source, slices);
    EXPECT_THAT(
        [&] {
          load_staged(device, {.file = file, .options = {.threads = 3}, .on_bytes = {}}, slices);
        },
        ThrowsMessage<DeviceError>(HasSubstr("the link is down")));
  }
}

TEST_F(WeightSourceTest, ADestinationThatCannotTakeTheRowsIsRefused) {
  const ModelFile file(path_);
  const auto device = make_host_device(1);
  const ModelFileSource source(file, {});
  const Tensor small(*device, DType::bf16, {10, 1024});
  const std::vector<WeightSlice> slices{
      {.name = "up", .shape = {5000, 1024}, .rows = {0, 11}, .to = small.view()}};
  EXPECT_THAT([&] { source.load(*device, slices); },
              ThrowsMessage<ModelFileError>(
                  AllOf(HasSubstr("up: rows 0..11"), HasSubstr("bf16 [10, 1024]"))));
}

}  // namespace
}  // namespace tutti
