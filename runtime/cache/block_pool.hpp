// Page accounting of the KV cache: whose pages are whose, and which may be found again. Host only,
// device-free, not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "runtime/cache/page_names.hpp"

namespace tutti {

using PageId = std::int32_t;

// A page is free, in use (by one or more), or cached: it has a name and no user, and waits to be
// found again or to be evicted, the least recently used first. Hands out free pages before it
// evicts, the smallest id first at the start and the last released first later, so that equal
// histories give equal pages.
class BlockPool {
 public:
  explicit BlockPool(int pages);

  int size() const { return static_cast<int>(pages_.size()); }
  int cached() const { return cached_; }
  // What allocate() can still give: free and cached pages.
  int available() const { return static_cast<int>(free_.size()) + cached_; }
  int used() const { return size() - available(); }
  int users(PageId page) const { return pages_.at(static_cast<std::size_t>(page)).users; }

  // A page with one user and no name. Errors: CapacityError where none is available; ask first.
  PageId allocate();
  // One user less. The last one of a named page leaves it cached, as the most recently used.
  // Errors: ConfigError for a page that is not in use.
  void release(PageId page);

  // Names a page in use. Where another page has the name already, that one keeps it.
  void name(PageId page, const PageName& name);
  std::optional<PageId> find(const PageName& name) const;
  // One user more, of a page that find() gave. Errors: ConfigError for a page that is free.
  void share(PageId page);

 private:
  static constexpr PageId kNone = -1;

  struct Page {
    int users = 0;
    bool named = false;
    PageName name;
    PageId older = kNone;  // among the cached
    PageId newer = kNone;
  };
  Page& at(PageId page) { return pages_[static_cast<std::size_t>(page)]; }
  void append_cached(PageId page);
  void remove_cached(PageId page);

  std::vector<Page> pages_;
  std::vector<PageId> free_;  // a stack
  std::unordered_map<PageName, PageId, PageNameHash> names_;
  PageId oldest_ = kNone;  // of the cached
  PageId newest_ = kNone;
  int cached_ = 0;
};

}  // namespace tutti
