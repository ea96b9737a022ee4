// The device against its host twin: equal bits, because a model must be the same on every place.
#include <gtest/gtest.h>

#include "kernels/fill_random.hpp"
#include "tests/kernels/kernel_fixture.hpp"
#include "tests/support/gpu_fixture.hpp"

namespace tutti {
namespace {

using testing::bytes_of;
using testing::gpu_array;
using testing::GpuArray;

class FillRandomCudaTest : public testing::GpuTest {
 protected:
  struct Case {
    DType dtype;
    std::int64_t rows;
    std::int64_t columns;
    std::int64_t stride;
    std::int64_t first_row;
    float scale;
    float offset;
    bool transposed;
    int skipped = 0;  // elements before row 0: addresses that vectors do not take
  };

  static void expect_equal_bits(const Case& c) {
    const std::size_t size = size_of(c.dtype);
    const std::int64_t elements = c.skipped + c.rows * c.stride;
    std::vector<std::byte> host(static_cast<std::size_t>(elements) * size, std::byte{0xff});
    GpuArray gpu = testing::to_gpu(device(), c.dtype, {elements}, host.data());
    FillRandomArgs args{.key = 0x123456789abcdef0u,
                        .first_row = c.first_row,
                        .scale = c.scale,
                        .offset = c.offset,
                        .transposed = c.transposed};
    const std::size_t offset = static_cast<std::size_t>(c.skipped) * size;
    args.y = TensorView(gpu.memory.data() + offset, c.dtype, Place::cuda, {c.rows, c.columns});
    args.y.row_stride = c.stride;
    fill_random(exec(), args);
    args.y.data = host.data() + offset;
    args.y.place = Place::host;
    fill_random(testing::host_exec(2), args);
    const std::vector<std::byte> found = bytes_of(device(), gpu.view);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < host.size(); i += size) {
      if (std::memcmp(&host[i], &found[i], size) != 0 && wrong++ < 5) {
        std::uint32_t wanted_bits = 0;
        std::uint32_t found_bits = 0;
        std::memcpy(&wanted_bits, &host[i], size);
        std::memcpy(&found_bits, &found[i], size);
        ADD_FAILURE() << name_of(c.dtype) << " [" << c.rows << ", " << c.columns << "] stride "
                      << c.stride << " transposed " << c.transposed << " element " << i / size
                      << ": wanted bits " << std::hex << wanted_bits << ", found " << found_bits;
      }
    }
    EXPECT_EQ(wrong, 0u);
  }
};

TEST_F(FillRandomCudaTest, HasTheBitsOfTheHostInEveryType) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    expect_equal_bits({dtype, 1, 3'000'017, 3'000'017, 0, 0.02f, 0, false});
    expect_equal_bits({dtype, 1000, 520, 520, 33, 0.1f, 1, false});
    expect_equal_bits({dtype, 70000, 8, 16, 5, 1e-4f, 0, false});        // f16: subnormal
    expect_equal_bits({dtype, 300, 77, 80, 1'000'000, 3e4f, 0, false});  // f16: infinite
    expect_equal_bits({dtype, 17, 1003, 1005, 2, 0.3f, -0.5f, false});
    expect_equal_bits({dtype, 3, 4099, 4099, 0, 0.3f, 0, false, 1});
    expect_equal_bits({dtype, 1, 1, 1, 9, 1, 0, false});
  }
}

TEST_F(FillRandomCudaTest, HasTheBitsOfTheHostTransposed) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    expect_equal_bits({dtype, 576, 1536, 1536, 768, 0.02f, 0, true});
    expect_equal_bits({dtype, 67, 129, 131, 1, 0.1f, 1, true});
    expect_equal_bits({dtype, 66000, 9, 9, 4, 0.1f, 0, true});
  }
}

TEST_F(FillRandomCudaTest, CountsPastFourBillionElements) {
  // Row 3,000,000 of a matrix with 8,192 columns: index 24.6e9.
  expect_equal_bits({DType::bf16, 3, 8192, 8192, 3'000'000, 0.02f, 0, false});
  expect_equal_bits({DType::bf16, 8192, 3, 3, 3'000'000, 0.02f, 0, true});
}

TEST_F(FillRandomCudaTest, DoesNothingWithoutElements) {
  fill_random(exec(), {.y = TensorView(nullptr, DType::bf16, Place::cuda, {0, 8})});
  device().synchronize();
}

}  // namespace
}  // namespace tutti
