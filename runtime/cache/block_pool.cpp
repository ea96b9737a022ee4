#include "runtime/cache/block_pool.hpp"

#include <fmt/format.h>

#include "kernels/error.hpp"

namespace tutti {

BlockPool::BlockPool(int pages) : used_(static_cast<std::size_t>(pages), false) {
  free_.reserve(used_.size());
  for (PageId page = pages - 1; page >= 0; --page) {
    free_.push_back(page);
  }
}

PageId BlockPool::allocate() {
  if (free_.empty()) {
    throw CapacityError(fmt::format("all {} pages of the KV cache are in use", size()));
  }
  const PageId page = free_.back();
  free_.pop_back();
  used_[static_cast<std::size_t>(page)] = true;
  return page;
}

void BlockPool::release(PageId page) {
  if (page < 0 || page >= size() || !used_[static_cast<std::size_t>(page)]) {
    throw ConfigError(fmt::format("page {} of {} was released but is not in use", page, size()));
  }
  used_[static_cast<std::size_t>(page)] = false;
  free_.push_back(page);
}

}  // namespace tutti
