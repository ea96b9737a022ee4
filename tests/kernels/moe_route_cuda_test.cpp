#include <gtest/gtest.h>

#include "kernels/moe_route.hpp"
#include "tests/kernels/moe_gpu.hpp"

namespace tutti {
namespace {

using testing::to_gpu;

// Logits, of which some are equal, slots, of which some are below 0, and what the host makes of
// them.
struct Routed {
  std::int64_t tokens, experts;
  int top_k;
  std::vector<float> logits, weights;
  std::vector<std::int32_t> slots, ids;

  Routed(std::int64_t tokens_in, std::int64_t experts_in, int top_k_in, int padding,
         bool renormalise)
      : tokens(tokens_in),
        experts(experts_in),
        top_k(top_k_in),
        logits(testing::random_floats(tokens_in * experts_in, 1)),
        weights(static_cast<std::size_t>(tokens_in * top_k_in)),
        ids(weights.size()) {
    for (float& logit : logits) {
      logit = std::round(logit * 2000) / 256;
    }
    for (std::int64_t t = 0; t < tokens; ++t) {
      slots.push_back(t % padding == padding - 1 ? -1 : static_cast<std::int32_t>(t));
    }
    moe_route(testing::host_exec(1), {.logits = testing::view_of(logits, {tokens, experts}),
                                      .slots = testing::view_of(slots, {tokens}),
                                      .renormalise = renormalise,
                                      .ids = testing::view_of(ids, {tokens, top_k}),
                                      .weights = testing::view_of(weights, {tokens, top_k})});
  }
  void expect(const std::vector<std::int32_t>& found_ids,
              const std::vector<float>& found_weights) const {
    EXPECT_EQ(found_ids, ids) << tokens << " tokens, " << experts << " experts";
    testing::expect_near_all(
        "weights", found_weights, {weights.begin(), weights.end()},
        [&](double wanted) { return (static_cast<double>(experts) + 48) * 0x1p-24 * wanted; });
  }
};

class MoeRouteCudaTest : public testing::GpuTest {
 protected:
  struct Arrays {
    testing::GpuArray logits, slots, ids, weights;
    bool renormalise;

    Arrays(Device& device, const Routed& routed, bool renormalise_in)
        : logits(to_gpu(device, DType::f32, {routed.tokens, routed.experts}, routed.logits)),
          slots(to_gpu(device, {routed.tokens}, routed.slots)),
          ids(testing::poisoned(device, DType::i32, {routed.tokens, routed.top_k})),
          weights(testing::poisoned(device, DType::f32, {routed.tokens, routed.top_k})),
          renormalise(renormalise_in) {}
    MoeRouteArgs args() const {
      return {.logits = logits.view,
              .slots = slots.view,
              .renormalise = renormalise,
              .ids = ids.view,
              .weights = weights.view};
    }
  };
};

TEST_F(MoeRouteCudaTest, RoutesAsTheHost) {
  for (const auto& [tokens, experts, top_k] :
       {std::tuple{1, 8, 2}, {37, 128, 8}, {37, 129, 8}, {5, 60, 4}, {9, 512, 16}, {2, 3, 3}}) {
    for (const bool renormalise : {false, true}) {
      const Routed routed(tokens, experts, top_k, 7, renormalise);
      const Arrays arrays(device(), routed, renormalise);
      moe_route(exec(), arrays.args());
      routed.expect(testing::ints_of(device(), arrays.ids.view),
                    testing::floats_of(device(), arrays.weights.view));
    }
  }
}

TEST_F(MoeRouteCudaTest, GroupsAsTheHost) {
  for (const auto& [tokens, all, top_k, first, experts] : {std::tuple{1, 8, 2, 0, 8},
                                                           {40, 128, 8, 32, 50},
                                                           {3000, 5, 3, 1, 2},
                                                           {9, 8, 2, 7, 1},
                                                           {70, 512, 16, 0, 512}}) {
    testing::MoeBatch batch(tokens, all, top_k, first, experts);
    const testing::GpuArray ids = to_gpu(device(), {tokens, top_k}, batch.ids);
    const testing::GpuGroups groups(device(), tokens, top_k, experts);
    moe_group(exec(), {.ids = ids.view, .first = first, .groups = groups.groups()});
    groups.expect(device(), batch);
  }
}

// Up to 16 tokens by one kernel, whose weights have the bits of those that were routed alone.
TEST_F(MoeRouteCudaTest, RoutesAndGroupsAsTheHost) {
  for (const auto& [tokens, all, top_k, first, experts] : {std::tuple{1, 128, 8, 0, 128},
                                                           {1, 8, 2, 0, 8},
                                                           {1, 8, 2, 6, 2},
                                                           {2, 3, 3, 0, 3},
                                                           {3, 8, 2, 8, 0},
                                                           {5, 129, 8, 60, 69},
                                                           {9, 128, 8, 31, 33},
                                                           {15, 60, 4, 59, 1},
                                                           {16, 128, 8, 0, 128},
                                                           {16, 512, 16, 0, 512},
                                                           {16, 16, 16, 0, 16},
                                                           {17, 128, 8, 0, 128},
                                                           {17, 512, 16, 300, 100}}) {
    for (const int padding : {1, 3, 100}) {  // all tokens pad the batch, some, none
      const Routed routed(tokens, all, top_k, padding, true);
      const Arrays arrays(device(), routed, true);
      const testing::GpuGroups groups(device(), tokens, top_k, experts);
      moe_route_and_group(exec(), arrays.args(), first, groups.groups());
      const std::vector<float> weights = testing::floats_of(device(), arrays.weights.view);
      routed.expect(testing::ints_of(device(), arrays.ids.view), weights);
      testing::MoeBatch batch(tokens, all, top_k, first, experts);
      batch.ids = routed.ids;
      batch.group();
      if (experts > 0) {
        groups.expect(device(), batch);
      }
      moe_route(exec(), arrays.args());
      EXPECT_EQ(testing::floats_of(device(), arrays.weights.view), weights);
    }
  }
}

}  // namespace
}  // namespace tutti
