// What a full page of the KV cache is called: by all tokens up to its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/weights/digest.hpp"

namespace tutti {

// The 128-bit XXH3 of (the name of the page before it, the ids of its tokens). Keys and values of a
// page are a function of exactly these tokens, so that equal names mean equal pages. Two of a
// billion different pages share a name with a probability below 1e-20, which is why nobody compares
// the tokens themselves.
using PageName = Hash128;

struct PageNameHash {
  std::size_t operator()(const PageName& name) const { return name.low; }
};

// The names of one sequence's full pages. Each page is hashed once, when its last id is told.
class PageNames {
 public:
  explicit PageNames(int page_size);

  void append(std::span<const std::int32_t> ids);
  void append(std::int32_t id) { append(std::span(&id, 1)); }
  const std::vector<PageName>& full() const { return full_; }

 private:
  std::size_t page_words_;
  std::vector<std::int32_t> words_;  // the last name, then the ids behind it
  std::vector<PageName> full_;
};

}  // namespace tutti
