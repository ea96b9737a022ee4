#include <gtest/gtest.h>

#include "kernels/embedding.hpp"
#include "tests/kernels/kernel_fixture.hpp"
#include "tests/support/gpu_compare.hpp"

namespace tutti {
namespace {

using testing::GpuArray;
using testing::to_gpu;

class EmbeddingCudaTest : public testing::GpuTest {
 protected:
  static constexpr std::int64_t kRows = 50;
  static constexpr std::int64_t kFirst = 100;

  struct Case {
    DType table;
    DType y;
    std::int64_t tokens;
    std::int64_t hidden;
    std::int64_t stride;  // of the table
    bool on_device;       // some ids come from `last`
  };

  static void expect_rows(const Case& c) {
    const std::vector<float> table =
        testing::rounded(c.table, testing::random_floats(kRows * c.stride, 1));
    std::vector<std::int32_t> ids;
    std::vector<std::int32_t> source;
    const std::vector<std::int32_t> last = {103, 149, 99, 120, -1};
    for (std::int64_t t = 0; t < c.tokens; ++t) {
      ids.push_back(static_cast<std::int32_t>(90 + t * 13 % 70));  // some of other ranks
      source.push_back(static_cast<std::int32_t>(t % 6) - 1);
    }
    const GpuArray gpu_table = to_gpu(device(), c.table, {kRows, c.stride}, table);
    const GpuArray gpu_ids = to_gpu(device(), {c.tokens}, ids);
    const GpuArray gpu_source = to_gpu(device(), {c.tokens}, source);
    const GpuArray gpu_last = to_gpu(device(), {5}, last);
    const GpuArray y = testing::poisoned(device(), c.y, {c.tokens, c.hidden});
    EmbeddingArgs args{.ids = gpu_ids.view,
                       .table = {gpu_table.view.column_slice({0, c.hidden})},
                       .first_row = kFirst,
                       .y = y.view};
    if (c.on_device) {
      args.source = gpu_source.view;
      args.last = gpu_last.view;
    }
    embedding(exec(), args);
    std::vector<float> wanted;
    for (std::size_t t = 0; t < ids.size(); ++t) {
      const bool taken = c.on_device && source[t] >= 0;
      const std::int64_t row =
          (taken ? last[static_cast<std::size_t>(source[t])] : ids[t]) - kFirst;
      for (std::int64_t i = 0; i < c.hidden; ++i) {
        wanted.push_back(
            row >= 0 && row < kRows ? table[static_cast<std::size_t>(row * c.stride + i)] : 0.0f);
      }
    }
    testing::expect_equal_all(std::string(name_of(c.table)) + " to " + std::string(name_of(c.y)) +
                                  " [" + std::to_string(c.tokens) + ", " +
                                  std::to_string(c.hidden) + "] stride " +
                                  std::to_string(c.stride) + (c.on_device ? " from last" : ""),
                              testing::floats_of(device(), y.view), wanted);
  }
};

// A scaled row is rounded to the table's type; learned positions come on top.
TEST_F(EmbeddingCudaTest, ScalesAndAdds) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const std::int64_t hidden : {576, 61}) {
      const std::vector<float> table =
          testing::rounded(dtype, testing::random_floats(kRows * hidden, 1));
      const GpuArray rows = to_gpu(device(), dtype, {kRows, hidden}, table);
      const GpuArray ids = to_gpu(device(), {3}, {7, 49, 0});
      const GpuArray positions = to_gpu(device(), {3}, {0, 3, 1000});
      const GpuArray y = testing::poisoned(device(), DType::f32, {3, hidden});
      embedding(exec(), {.ids = ids.view, .table = {rows.view}, .scale = 24.25f, .y = y.view});
      embedding(exec(), {.ids = positions.view, .table = {rows.view}, .add = true, .y = y.view});
      std::vector<float> wanted;
      for (const auto& [id, position] : {std::pair{7, 0}, {49, 3}, {0, -1}}) {
        for (std::int64_t i = 0; i < hidden; ++i) {
          const float scaled = 24.25f * table[static_cast<std::size_t>(id * hidden + i)];
          const float place =
              position < 0 ? 0.0f : table[static_cast<std::size_t>(position * hidden + i)];
          wanted.push_back(testing::rounded(dtype, {scaled})[0] + place);
        }
      }
      testing::expect_equal_all("scaled and added", testing::floats_of(device(), y.view), wanted);
    }
  }
}

TEST_F(EmbeddingCudaTest, CopiesOwnedRowsExactlyAndZerosOthers) {
  for (const DType table : {DType::f32, DType::f16, DType::bf16}) {
    for (const DType y : {DType::f32, table}) {
      for (const bool on_device : {false, true}) {
        expect_rows({table, y, 1, 4096, 4096, on_device});
        expect_rows({table, y, 40, 576, 640, on_device});
        expect_rows({table, y, 9, 61, 61, on_device});
        expect_rows({table, y, 7, 64, 67, on_device});
        expect_rows({table, y, 3, 5000, 5000, on_device});
        expect_rows({table, y, 0, 64, 64, on_device});
      }
    }
  }
}

}  // namespace
}  // namespace tutti
