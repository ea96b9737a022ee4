// Joining neighbours until nothing joins any more, the best pair first and of equals the leftmost:
// the loop of byte-pair encoding (Sennrich et al. 2016), with a heap instead of repeated scans.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/text/tokenizer.hpp"

namespace tutti::text {

struct Symbol {
  TokenId id;           // negative where the symbol is not in the vocabulary
  std::uint32_t begin;  // bytes of the piece that it stands for
  std::uint32_t size;   // 0 once it was joined to the symbol before it
  std::int32_t previous = -1, next = -1;
};

template <typename Rank>
struct Join {
  Rank rank;  // smaller is better
  TokenId id;
};

// `join_of(left, right)` gives the Join of two neighbours, or nothing. On return the symbols that
// are left have size > 0, in their order.
template <typename Rank, typename JoinOf>
void merge_symbols(std::vector<Symbol>& symbols, const JoinOf& join_of) {
  struct Candidate {
    Rank rank;
    std::int32_t left;
    std::uint32_t size;  // of both together: a candidate with another size is out of date
    TokenId id;
    bool operator<(const Candidate& other) const {  // the heap's top is its greatest
      return rank != other.rank ? other.rank < rank : other.left < left;
    }
  };
  std::vector<Candidate> heap;
  heap.reserve(symbols.size());
  const auto at = [&](std::int32_t i) -> Symbol& { return symbols[static_cast<std::size_t>(i)]; };
  const auto consider = [&](std::int32_t left, std::int32_t right) {
    if (left < 0 || right < 0) return;
    const std::optional<Join<Rank>> join = join_of(at(left), at(right));
    if (!join) return;
    heap.push_back({join->rank, left, at(left).size + at(right).size, join->id});
    std::push_heap(heap.begin(), heap.end());
  };
  const auto count = static_cast<std::int32_t>(symbols.size());
  for (std::int32_t i = 0; i < count; ++i) {
    at(i).previous = i - 1;
    at(i).next = i + 1 < count ? i + 1 : -1;
  }
  for (std::int32_t i = 0; i + 1 < count; ++i) consider(i, i + 1);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const Candidate best = heap.back();
    heap.pop_back();
    Symbol& left = at(best.left);
    if (left.size == 0 || left.next < 0) continue;
    Symbol& right = at(left.next);
    if (left.size + right.size != best.size) continue;
    left.id = best.id;
    left.size = best.size;
    left.next = right.next;
    right.size = 0;
    if (left.next >= 0) at(left.next).previous = best.left;
    consider(left.previous, best.left);
    consider(best.left, left.next);
  }
}

}  // namespace tutti::text
