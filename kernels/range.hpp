// Half-open ranges: rows, heads, columns, layers.
#pragma once

#include <cstdint>

namespace tutti {

struct Range {  // [begin, end)
  std::int64_t begin = 0;
  std::int64_t end = 0;

  constexpr std::int64_t size() const { return end - begin; }
  constexpr bool empty() const { return end <= begin; }
  constexpr bool contains(std::int64_t i) const { return begin <= i && i < end; }
  friend constexpr bool operator==(const Range&, const Range&) = default;
};

}  // namespace tutti
