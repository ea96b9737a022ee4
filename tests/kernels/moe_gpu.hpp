// Groups of experts on a GPU.
#pragma once

#include "tests/kernels/moe_batch.hpp"
#include "tests/support/gpu_compare.hpp"

namespace tutti::testing {

struct GpuGroups {
  GpuArray order, begin, tiles, active;
  int top_k;

  // Nothing is in them yet.
  GpuGroups(Device& device, std::int64_t tokens, int top_k_in, std::int64_t experts)
      : order(poisoned(device, DType::i32, {tokens * top_k_in})),
        begin(poisoned(device, DType::i32, {experts + 1})),
        tiles(poisoned(device, DType::i32, {experts + 1})),
        active(poisoned(device, DType::i32, {experts + 1})),
        top_k(top_k_in) {}
  // As the host has them.
  GpuGroups(Device& device, const MoeBatch& batch)
      : order(to_gpu(device, {batch.pairs()}, batch.order)),
        begin(to_gpu(device, {batch.experts + 1}, batch.begin)),
        tiles(to_gpu(device, {batch.experts + 1}, batch.tiles)),
        active(to_gpu(device, {batch.experts + 1}, batch.active)),
        top_k(batch.top_k) {}

  ExpertGroups groups() const {
    return {.order = order.view,
            .begin = begin.view,
            .tiles = tiles.view,
            .active = active.view,
            .top_k = top_k};
  }

  // The same pairs for each expert as the host found, in any order.
  void expect(Device& device, const MoeBatch& batch) const {
    EXPECT_EQ(ints_of(device, begin.view), batch.begin);
    EXPECT_EQ(ints_of(device, tiles.view), batch.tiles);
    std::vector<std::int32_t> found = ints_of(device, order.view);
    for (std::size_t e = 0; e + 1 < batch.begin.size(); ++e) {
      std::sort(found.begin() + batch.begin[e], found.begin() + batch.begin[e + 1]);
    }
    EXPECT_TRUE(std::equal(found.begin(), found.begin() + batch.begin.back(), batch.order.begin()));
    const std::vector<std::int32_t> listed = ints_of(device, active.view);
    EXPECT_TRUE(
        std::equal(listed.begin(), listed.begin() + 1 + batch.active[0], batch.active.begin()));
  }
};

}  // namespace tutti::testing
