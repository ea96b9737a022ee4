#include "runtime/tensor/tensor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/error.hpp"

namespace tutti {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Tensor, HasShapeDtypeAndAlignedMemory) {
  for (std::int64_t n : {1, 3, 17, 1000}) {
    const Tensor tensor(Place::host, DType::bf16, {n, 5});
    EXPECT_EQ(tensor.view().shape[0], n);
    EXPECT_EQ(tensor.view().shape[1], 5);
    EXPECT_EQ(tensor.view().dims, 2);
    EXPECT_EQ(tensor.view().row_stride, 5);
    EXPECT_EQ(tensor.view().dtype, DType::bf16);
    EXPECT_EQ(tensor.bytes(), static_cast<std::size_t>(n) * 10);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.view().data) % Tensor::kAlignment, 0u);
  }
}

TEST(Tensor, TakesShapesOfOneToFourDimensions) {
  const std::vector<std::int64_t> shape{2, 3, 4, 5};
  for (std::size_t dims = 1; dims <= shape.size(); ++dims) {
    const Tensor tensor(Place::host, DType::f32, std::span(shape).first(dims));
    EXPECT_EQ(tensor.view().dims, static_cast<int>(dims));
    EXPECT_TRUE(tensor.view().contiguous());
  }
}

TEST(Tensor, MemoryCanBeWrittenFromEndToEnd) {
  const Tensor tensor(Place::host, DType::i32, {7, 11});
  for (int i = 0; i < 77; ++i) {
    tensor.data<std::int32_t>()[i] = i;
  }
  EXPECT_EQ(tensor.view().row<std::int32_t>(6)[10], 76);
}

TEST(Tensor, MovingKeepsViewsAndEmptiesTheSource) {
  Tensor first(Place::host, DType::f32, {4});
  first.data<float>()[3] = 2.5f;
  const TensorView view = first.view();
  Tensor second(std::move(first));
  EXPECT_EQ(second.view().data, view.data);
  EXPECT_EQ(view.row<float>(3)[0], 2.5f);
  EXPECT_EQ(first.view().data, nullptr);  // NOLINT(bugprone-use-after-move): what is promised
  EXPECT_TRUE(first.view().empty());
  Tensor third;
  third = std::move(second);
  EXPECT_EQ(third.view().data, view.data);
}

TEST(Tensor, AnEmptyOneHasNoMemory) {
  const Tensor tensor(Place::host, DType::f32, {0, 8});
  EXPECT_TRUE(tensor.view().empty());
  EXPECT_EQ(tensor.view().data, nullptr);
  EXPECT_EQ(Tensor().bytes(), 0u);
}

TEST(Tensor, AnAbsurdSizeIsACapacityErrorThatNamesTheTensor) {
  const std::int64_t huge = std::int64_t{1} << 60;
  EXPECT_THAT([&] { Tensor(Place::host, DType::f32, {huge}, "kv pages"); },
              ThrowsMessage<CapacityError>(HasSubstr("kv pages")));
  EXPECT_THAT(
      [&] {
        Tensor(Place::host, DType::f32, {huge, huge}, "kv pages");
      },
      ThrowsMessage<CapacityError>(HasSubstr("kv pages")));
}

TEST(Tensor, OutOfMemoryIsACapacityErrorWithTheBytes) {
#ifdef TUTTI_SANITIZED
  GTEST_SKIP() << "sanitizers need an unlimited address space";
#endif
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &old), 0);
  rlimit small = old;
  small.rlim_cur = rlim_t{2} << 30;
  ASSERT_EQ(setrlimit(RLIMIT_AS, &small), 0);
  EXPECT_THAT(
      [] {
        Tensor(Place::host, DType::bf16, {1 << 20, 4096}, "layers.0.mlp.up");
      },
      ThrowsMessage<CapacityError>(
          AllOf(HasSubstr("layers.0.mlp.up"), HasSubstr("8589934592 bytes"))));
  setrlimit(RLIMIT_AS, &old);
}

TEST(Tensor, BadShapesAndPlacesAreRefused) {
  EXPECT_THROW(Tensor(Place::host, DType::f32, {-1}), ConfigError);
  EXPECT_THROW(Tensor(Place::host, DType::f32, {1, 1, 1, 1, 1}), ConfigError);
  EXPECT_THROW(Tensor(Place::cuda, DType::f32, {1}), DeviceError);
}

}  // namespace
}  // namespace tutti
