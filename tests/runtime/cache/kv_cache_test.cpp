#include "runtime/cache/kv_cache.hpp"

#include <gtest/gtest.h>

#include <set>

namespace tutti {
namespace {

TEST(KvCache, LayersDoNotOverlapAndFillTheStatedBytes) {
  const KvLayout layout{.layers = 3, .kv_heads = 2, .head_dim = 4, .page_size = 8};
  const auto device = make_host_device(1);
  const KvCache cache(*device, layout, 5);
  std::set<std::byte*> starts;
  std::size_t bytes = 0;
  for (int layer = 0; layer < 3; ++layer) {
    for (const TensorView& view : {cache.keys(layer), cache.values(layer)}) {
      EXPECT_EQ(describe(view), "f32 [5, 2, 8, 4]");
      starts.insert(static_cast<std::byte*>(view.data));
      bytes += view.bytes();
    }
  }
  EXPECT_EQ(bytes, cache.bytes());
  EXPECT_EQ(starts.size(), 6u);
  EXPECT_EQ(*starts.rbegin() - *starts.begin(),
            static_cast<std::ptrdiff_t>(bytes - cache.keys(0).bytes()));
}

TEST(KvLayout, RoundsTokensUpToPages) {
  const KvLayout layout{.page_size = 16};
  EXPECT_EQ(layout.pages_for(0), 0);
  EXPECT_EQ(layout.pages_for(16), 1);
  EXPECT_EQ(layout.pages_for(17), 2);
}

}  // namespace
}  // namespace tutti
