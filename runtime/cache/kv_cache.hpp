// Pages of this rank's keys and values, for every layer, allocated once.
#pragma once

#include <cstddef>

#include "runtime/tensor/tensor.hpp"

namespace tutti {

struct KvLayout {
  int layers = 0;
  int kv_heads = 0;  // of this rank
  int head_dim = 0;
  int page_size = 16;  // tokens
  DType dtype = DType::f32;

  // Bytes that one page takes in all layers, keys and values.
  std::size_t page_bytes() const {
    return 2 * static_cast<std::size_t>(layers) * static_cast<std::size_t>(kv_heads) *
           static_cast<std::size_t>(head_dim) * static_cast<std::size_t>(page_size) *
           size_of(dtype);
  }
  int pages_for(std::int64_t tokens) const {
    return static_cast<int>((tokens + page_size - 1) / page_size);
  }
};

class KvCache {
 public:
  // Errors: CapacityError where the memory is not to be had.
  KvCache(Device& device, const KvLayout& layout, int pages);

  const KvLayout& layout() const { return layout_; }
  int pages() const { return pages_; }
  std::size_t bytes() const { return static_cast<std::size_t>(pages_) * layout_.page_bytes(); }

  TensorView keys(int layer) const { return view(2 * layer); }        // [pages, kv_heads,
  TensorView values(int layer) const { return view(2 * layer + 1); }  //  page_size, head_dim]

 private:
  TensorView view(int half) const;

  KvLayout layout_;
  int pages_;
  Tensor storage_;  // [layers * 2, elements of all pages]
};

}  // namespace tutti
