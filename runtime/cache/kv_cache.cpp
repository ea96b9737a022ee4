#include "runtime/cache/kv_cache.hpp"

namespace tutti {
namespace {

std::int64_t page_elements(const KvLayout& layout) {
  return static_cast<std::int64_t>(layout.kv_heads) * layout.page_size * layout.head_dim;
}

}  // namespace

KvCache::KvCache(Device& device, const KvLayout& layout, int pages)
    : layout_(layout),
      pages_(pages),
      storage_(device, layout.dtype, {2 * layout.layers, pages * page_elements(layout)},
               "the KV cache") {}

TensorView KvCache::view(int half) const {
  const TensorView row = storage_.view().row_slice({half, half + 1});
  return {row.data,
          layout_.dtype,
          row.place,
          {pages_, layout_.kv_heads, layout_.page_size, layout_.head_dim}};
}

}  // namespace tutti
