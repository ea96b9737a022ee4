// Page accounting of the KV cache: which pages are free. Host only, device-free, not thread-safe.
#pragma once

#include <cstdint>
#include <vector>

namespace tutti {

using PageId = std::int32_t;

// Hands out pages, the smallest free id first at the start and the last released first later, so
// that equal request histories give equal pages.
class BlockPool {
 public:
  explicit BlockPool(int pages);

  int size() const { return static_cast<int>(used_.size()); }
  int available() const { return static_cast<int>(free_.size()); }

  // Errors: CapacityError where none is free; ask `available` first.
  PageId allocate();
  // Errors: ConfigError for a page that is not in use.
  void release(PageId page);

 private:
  std::vector<PageId> free_;  // a stack
  std::vector<bool> used_;
};

}  // namespace tutti
