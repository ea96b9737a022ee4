#include "kernels/stream_read.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "kernels/error.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti {
namespace {

using testing::host_exec;
using testing::view_of;

TEST(StreamReadTest, AddsEveryWordModuloTwoToTheThirtyTwo) {
  for (const int count : {0, 4, 20, 40'000}) {
    std::vector<std::int32_t> x(std::size_t(count), 0);
    std::uint32_t wanted = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = static_cast<std::int32_t>(i * 2654435761u);
      wanted += static_cast<std::uint32_t>(x[i]);
    }
    std::vector<std::int32_t> y = {-1};
    stream_read(host_exec(2), {.x = view_of(x, {count}), .y = view_of(y, {1})});
    EXPECT_EQ(static_cast<std::uint32_t>(y[0]), wanted) << count;
  }
}

TEST(StreamReadTest, RefusesBytesThatAreNoWholeVectors) {
  std::vector<std::int32_t> x(5);
  std::vector<std::int32_t> y(1);
  EXPECT_THROW(stream_read(host_exec(1), {.x = view_of(x, {5}), .y = view_of(y, {1})}),
               ConfigError);
}

}  // namespace
}  // namespace tutti
