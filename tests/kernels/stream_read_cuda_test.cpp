#include <gtest/gtest.h>

#include "kernels/stream_read.hpp"
#include "tests/kernels/kernel_fixture.hpp"
#include "tests/support/gpu_fixture.hpp"

namespace tutti {
namespace {

using StreamReadCudaTest = testing::GpuTest;

TEST_F(StreamReadCudaTest, EqualsTheHostAtEverySize) {
  std::vector<std::int32_t> words(9'000'000);
  for (std::size_t i = 0; i < words.size(); ++i) {
    words[i] = static_cast<std::int32_t>(i * 2654435761u + (i >> 7));
  }
  const auto most = static_cast<std::int64_t>(words.size());
  testing::GpuArray x = testing::to_gpu(device(), {most}, words);
  testing::GpuArray y = testing::to_gpu(device(), {1}, {-1});
  for (const std::int64_t count : {0L, 4L, 1024L, 8188L, 8192L, 8196L, 1'000'004L, most}) {
    std::vector<std::int32_t> wanted = {0};
    stream_read(testing::host_exec(2),
                {.x = TensorView(words.data(), DType::i32, Place::host, {count}),
                 .y = testing::view_of(wanted, {1})});
    // Twice: the counter must be left as it was found.
    for (int repeat = 0; repeat < 2; ++repeat) {
      stream_read(exec(),
                  {.x = TensorView(x.view.data, DType::i32, Place::cuda, {count}), .y = y.view});
      EXPECT_EQ(testing::ints_of(device(), y.view), wanted) << count << " words, run " << repeat;
    }
  }
}

}  // namespace
}  // namespace tutti
