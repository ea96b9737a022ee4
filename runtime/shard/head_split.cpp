#include "runtime/shard/head_split.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace tutti {
namespace {

// What the split of a tail of the heads costs; compared in this order.
struct Cost {
  std::int64_t kv_held = std::numeric_limits<std::int64_t>::max() / 2;
  std::int64_t squares = 0;  // sum of squared lengths: smallest where lengths are most alike

  friend bool operator<(const Cost& a, const Cost& b) {
    return a.kv_held != b.kv_held ? a.kv_held < b.kv_held : a.squares < b.squares;
  }
};

struct Choice {
  Cost cost;
  std::int64_t length = 0;  // of the first range of the tail
};

// Dynamic programming over (ranges left, first head left): best[left][begin]. Small: heads and
// ranks are in the hundreds at most.
class HeadSplitter {
 public:
  HeadSplitter(std::int64_t q_heads, std::int64_t group, int ranks)
      : q_heads_(q_heads),
        group_(group),
        ranks_(ranks),
        longest_((q_heads + ranks - 1) / ranks),
        best_(static_cast<std::size_t>((ranks + 1) * (q_heads + 1))) {
    at(0, q_heads_).cost = {.kv_held = 0, .squares = 0};
    for (int left = 1; left <= ranks_; ++left) {
      for (std::int64_t begin = 0; begin <= q_heads_ - left; ++begin) {
        choose(left, begin);
      }
    }
  }

  std::vector<Range> ranges() {
    std::vector<Range> result;
    std::int64_t begin = 0;
    for (int left = ranks_; left > 0; --left) {
      const std::int64_t length = at(left, begin).length;
      result.push_back({begin, begin + length});
      begin += length;
    }
    return result;
  }

 private:
  Choice& at(int left, std::int64_t begin) {
    return best_[static_cast<std::size_t>(left * (q_heads_ + 1) + begin)];
  }

  // Longer ranges come first among equals: the order that even splits have too.
  void choose(int left, std::int64_t begin) {
    Choice& choice = at(left, begin);
    for (std::int64_t length = std::min(longest_, q_heads_ - begin); length >= 1; --length) {
      const Cost& rest = at(left - 1, begin + length).cost;
      const Range held = kv_heads_of({begin, begin + length}, group_);
      const Cost cost{.kv_held = rest.kv_held + held.size(),
                      .squares = rest.squares + length * length};
      if (cost < choice.cost) {
        choice = {.cost = cost, .length = length};
      }
    }
  }

  std::int64_t q_heads_;
  std::int64_t group_;
  int ranks_;
  std::int64_t longest_;
  std::vector<Choice> best_;
};

}  // namespace

std::vector<Range> split_evenly(std::int64_t count, int parts, std::int64_t granule) {
  const std::int64_t units = count / granule;
  std::vector<Range> result;
  std::int64_t begin = 0;
  for (int part = 0; part < parts; ++part) {
    const std::int64_t length = (units / parts + (part < units % parts ? 1 : 0)) * granule;
    const std::int64_t end = part + 1 == parts ? count : begin + length;
    result.push_back({begin, end});
    begin = end;
  }
  return result;
}

Range kv_heads_of(Range q_heads, std::int64_t group) {
  return {q_heads.begin / group, (q_heads.end - 1) / group + 1};
}

std::vector<Range> split_query_heads(std::int64_t q_heads, std::int64_t kv_heads, int ranks) {
  const std::int64_t group = q_heads / kv_heads;
  if (ranks > kv_heads) {
    return HeadSplitter(q_heads, group, ranks).ranges();
  }
  std::vector<Range> result = split_evenly(kv_heads, ranks);
  for (Range& range : result) {
    range = {range.begin * group, range.end * group};
  }
  return result;
}

}  // namespace tutti
