#include "runtime/cache/block_pool.hpp"

#include <fmt/format.h>

#include "kernels/error.hpp"

namespace tutti {

BlockPool::BlockPool(int pages) : pages_(static_cast<std::size_t>(pages)) {
  free_.reserve(pages_.size());
  for (PageId page = pages - 1; page >= 0; --page) {
    free_.push_back(page);
  }
}

PageId BlockPool::allocate() {
  PageId page = oldest_;
  if (!free_.empty()) {
    page = free_.back();
    free_.pop_back();
  } else if (page != kNone) {
    remove_cached(page);
    names_.erase(at(page).name);
    at(page).named = false;
  } else {
    throw CapacityError(fmt::format("all {} pages of the KV cache are in use", size()));
  }
  at(page).users = 1;
  return page;
}

void BlockPool::release(PageId page) {
  if (page < 0 || page >= size() || at(page).users == 0) {
    throw ConfigError(fmt::format("page {} of {} was released but is not in use", page, size()));
  }
  if (--at(page).users > 0) {
    return;
  }
  if (at(page).named) {
    append_cached(page);
  } else {
    free_.push_back(page);
  }
}

void BlockPool::name(PageId page, const PageName& name) {
  if (!at(page).named && names_.emplace(name, page).second) {
    at(page).named = true;
    at(page).name = name;
  }
}

std::optional<PageId> BlockPool::find(const PageName& name) const {
  const auto found = names_.find(name);
  return found == names_.end() ? std::nullopt : std::optional(found->second);
}

void BlockPool::share(PageId page) {
  if (page < 0 || page >= size() || (at(page).users == 0 && !at(page).named)) {
    throw ConfigError(fmt::format("page {} of {} was shared but is free", page, size()));
  }
  if (at(page).users++ == 0) {
    remove_cached(page);
  }
}

void BlockPool::append_cached(PageId page) {
  at(page).older = newest_;
  at(page).newer = kNone;
  (newest_ == kNone ? oldest_ : at(newest_).newer) = page;
  newest_ = page;
  ++cached_;
}

void BlockPool::remove_cached(PageId page) {
  const Page& own = at(page);
  (own.older == kNone ? oldest_ : at(own.older).newer) = own.newer;
  (own.newer == kNone ? newest_ : at(own.newer).older) = own.older;
  --cached_;
}

}  // namespace tutti
