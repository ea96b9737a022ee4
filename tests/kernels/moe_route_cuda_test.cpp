#include <gtest/gtest.h>

#include "kernels/moe_route.hpp"
#include "tests/kernels/moe_batch.hpp"
#include "tests/support/gpu_compare.hpp"

namespace tutti {
namespace {

using testing::to_gpu;

using MoeRouteCudaTest = testing::GpuTest;

TEST_F(MoeRouteCudaTest, RoutesAsTheHost) {
  for (const auto& [tokens, experts, top_k] :
       {std::tuple<std::int64_t, std::int64_t, std::int64_t>{1, 8, 2},
        {37, 128, 8},
        {5, 60, 4},
        {9, 512, 16},
        {2, 3, 3}}) {
    for (const bool renormalise : {false, true}) {
      std::vector<float> logits = testing::random_floats(tokens * experts, 1);
      for (float& logit : logits) {
        logit = std::round(logit * 2000) / 256;  // some are equal
      }
      std::vector<std::int32_t> slots;
      for (std::int64_t t = 0; t < tokens; ++t) {
        slots.push_back(t % 7 == 5 ? -1 : static_cast<std::int32_t>(t));
      }
      std::vector<std::int32_t> ids(static_cast<std::size_t>(tokens * top_k));
      std::vector<float> weights(ids.size());
      const testing::GpuArray gpu_logits = to_gpu(device(), DType::f32, {tokens, experts}, logits);
      const testing::GpuArray gpu_slots = to_gpu(device(), {tokens}, slots);
      const testing::GpuArray gpu_ids = testing::poisoned(device(), DType::i32, {tokens, top_k});
      const testing::GpuArray gpu_weights =
          testing::poisoned(device(), DType::f32, {tokens, top_k});
      moe_route(exec(), {.logits = gpu_logits.view,
                         .slots = gpu_slots.view,
                         .renormalise = renormalise,
                         .ids = gpu_ids.view,
                         .weights = gpu_weights.view});
      moe_route(testing::host_exec(1), {.logits = testing::view_of(logits, {tokens, experts}),
                                        .slots = testing::view_of(slots, {tokens}),
                                        .renormalise = renormalise,
                                        .ids = testing::view_of(ids, {tokens, top_k}),
                                        .weights = testing::view_of(weights, {tokens, top_k})});
      EXPECT_EQ(testing::ints_of(device(), gpu_ids.view), ids) << experts << " experts";
      testing::expect_near_all("weights", testing::floats_of(device(), gpu_weights.view),
                               {weights.begin(), weights.end()}, [n = experts](double wanted) {
                                 return (static_cast<double>(n) + 48) * 0x1p-24 * wanted;
                               });
    }
  }
}

// The same pairs for each expert, in any order.
TEST_F(MoeRouteCudaTest, GroupsAsTheHost) {
  for (const auto& [tokens, all, top_k, first, experts] : {std::tuple{1, 8, 2, 0, 8},
                                                           {40, 128, 8, 32, 50},
                                                           {3000, 5, 3, 1, 2},
                                                           {9, 8, 2, 7, 1},
                                                           {70, 512, 16, 0, 512}}) {
    testing::MoeBatch batch(tokens, all, top_k, first, experts);
    const testing::GpuArray ids = to_gpu(device(), {tokens, top_k}, batch.ids);
    const testing::GpuArray order = testing::poisoned(device(), DType::i32, {batch.pairs()});
    const testing::GpuArray begin = testing::poisoned(device(), DType::i32, {experts + 1});
    const testing::GpuArray tiles = testing::poisoned(device(), DType::i32, {experts + 1});
    const testing::GpuArray active = testing::poisoned(device(), DType::i32, {experts + 1});
    moe_group(exec(), {.ids = ids.view,
                       .first = first,
                       .groups = {.order = order.view,
                                  .begin = begin.view,
                                  .tiles = tiles.view,
                                  .active = active.view,
                                  .top_k = top_k}});
    EXPECT_EQ(testing::ints_of(device(), begin.view), batch.begin);
    EXPECT_EQ(testing::ints_of(device(), tiles.view), batch.tiles);
    std::vector<std::int32_t> found = testing::ints_of(device(), order.view);
    for (int e = 0; e < experts; ++e) {
      std::sort(found.begin() + batch.begin[std::size_t(e)],
                found.begin() + batch.begin[std::size_t(e + 1)]);
    }
    EXPECT_TRUE(std::equal(found.begin(), found.begin() + batch.begin.back(), batch.order.begin()));
    const std::vector<std::int32_t> listed = testing::ints_of(device(), active.view);
    EXPECT_TRUE(
        std::equal(listed.begin(), listed.begin() + 1 + batch.active[0], batch.active.begin()));
  }
}

}  // namespace
}  // namespace tutti
