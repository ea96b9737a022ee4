// A mixture of experts on the host: ids dealt at random, the lists of a rank's experts.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/moe_route.hpp"
#include "tests/kernels/kernel_fixture.hpp"

namespace tutti::testing {

struct MoeBatch {
  std::int64_t tokens, all, first, experts;
  int top_k;
  std::vector<std::int32_t> ids, order, begin, tiles, active;

  // `experts` of `all` are this rank's, from `first` on; every fifth token from the third goes
  // nowhere. Low numbers are liked better, so that loads are uneven and some experts idle.
  MoeBatch(std::int64_t tokens_in, std::int64_t all_in, int top_k_in, std::int64_t first_in,
           std::int64_t experts_in)
      : tokens(tokens_in), all(all_in), first(first_in), experts(experts_in), top_k(top_k_in) {
    std::mt19937 random(static_cast<unsigned>(tokens * 31 + all));
    for (std::int64_t t = 0; t < tokens; ++t) {
      std::vector<std::int32_t> chosen;
      while (static_cast<int>(chosen.size()) < top_k) {
        const std::uint32_t n = static_cast<std::uint32_t>(all);
        const auto id = static_cast<std::int32_t>(std::min(random() % n, random() % n));
        if (std::find(chosen.begin(), chosen.end(), id) == chosen.end()) {
          chosen.push_back(t % 5 == 3 ? -1 - static_cast<std::int32_t>(chosen.size()) : id);
        }
      }
      for (const std::int32_t id : chosen) {
        ids.push_back(std::max(id, -1));
      }
    }
    group();
  }

  // Lists what `ids` say.
  void group() {
    order.assign(ids.size(), -7);
    begin.assign(static_cast<std::size_t>(experts + 1), -7);
    tiles = active = begin;
    moe_group(host_exec(1), {.ids = ids_view(), .first = first, .groups = groups()});
  }

  std::int64_t pairs() const { return tokens * top_k; }
  TensorView ids_view() { return view_of(ids, {tokens, top_k}); }
  ExpertGroups groups() {
    return {.order = view_of(order, {pairs()}),
            .begin = view_of(begin, {experts + 1}),
            .tiles = view_of(tiles, {experts + 1}),
            .active = view_of(active, {experts + 1}),
            .top_k = top_k};
  }
  // Of a pair, among this rank's; -1: another's.
  std::int64_t expert_of(std::size_t pair) const {
    const std::int64_t expert = ids[pair] - first;
    return ids[pair] >= 0 && expert >= 0 && expert < experts ? expert : -1;
  }
};

}  // namespace tutti::testing
