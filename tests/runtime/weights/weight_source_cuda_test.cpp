// Loading onto a GPU against loading on the host.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "runtime/weights/random_weights.hpp"
#include "runtime/weights/staged_load.hpp"
#include "tests/runtime/weights/slice_fixture.hpp"
#include "tests/support/gpu_fixture.hpp"

namespace tutti {
namespace {

using namespace test;

class WeightSourceCuda : public testing::GpuTest {
 protected:
  static void compare(const WeightSource& source, std::vector<WeightSlice> slices,
                      const std::string& what) {
    const auto host = make_host_device(2);
    std::vector<WeightSlice> host_slices = slices;
    const std::vector<Tensor> here = allocate(*host, source, host_slices);
    const std::vector<Tensor> there = allocate(device(), source, slices);
    source.load(*host, host_slices);
    source.load(device(), slices);
    for (std::size_t i = 0; i < slices.size(); ++i) {
      EXPECT_EQ(
          difference(contents_of(*host, host_slices[i].to), contents_of(device(), slices[i].to)),
          "")
          << what << ": " << slices[i].name << ", " << describe(slices[i].to);
    }
  }
};

TEST_F(WeightSourceCuda, AFilesSlicesAreTheSameOnBoth) {
  const ModelFolder folder;
  const auto path = folder / "m.h5";
  write_model(path, layer_contents());
  const ModelFile file(path);
  for (const bool check : {true, false}) {
    for (const int threads : {1, 4, 20}) {
      std::atomic<std::uint64_t> bytes = 0;
      const ModelFileSource source(file, {.check = check, .threads = threads},
                                   [&](std::uint64_t more) { bytes += more; });
      compare(source, layer_slices(), fmt::format("check {}, {} readers", check, threads));
      EXPECT_GT(bytes, 0u);
    }
  }
}

TEST_F(WeightSourceCuda, DamageIsReportedAndTheDeviceGoesOn) {
  const ModelFolder folder;
  const auto path = folder / "m.h5";
  write_model(path, layer_contents());
  flip_tensor_byte(path, "down", 3'000'000);
  const ModelFile file(path);
  const ModelFileSource source(file, {.check = true, .threads = 3});
  std::vector<WeightSlice> slices = layer_slices();
  const std::vector<Tensor> tensors = allocate(device(), source, slices);
  EXPECT_THAT([&] { source.load(device(), slices); },
              ::testing::ThrowsMessage<ModelFileError>(::testing::HasSubstr("down, rows")));
  const testing::GpuArray after = testing::to_gpu(device(), {3}, {1, 2, 3});
  EXPECT_THAT(testing::ints_of(device(), after.view), ::testing::ElementsAre(1, 2, 3));
}

TEST_F(WeightSourceCuda, RandomWeightsHaveTheSameBitsOnBoth) {
  using Layout = WeightSlice::Layout;
  for (const DType dtype : {DType::bf16, DType::f16, DType::f32}) {
    const RandomWeights source(42, dtype);
    compare(source,
            {{.name = "q", .shape = {512, 4096}, .rows = {17, 500}},
             {.name = "odd", .shape = {77, 1031}, .rows = {3, 76}},
             {.name = "o", .shape = {4096, 512}, .rows = {100, 1101}, .layout = Layout::transposed},
             {.name = "down", .shape = {1031, 77}, .rows = {1, 2}, .layout = Layout::transposed},
             {.name = "norm", .shape = {4096}, .rows = {0, 4096}, .layout = Layout::vector}},
            std::string(name_of(dtype)));
  }
}

}  // namespace
}  // namespace tutti
