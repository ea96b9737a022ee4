// How the query heads of one layer are cut into contiguous runs, one a rank.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/range.hpp"

namespace tutti {

// [parts] contiguous ranges that cover 0..count in order, as even as whole units of `granule`
// allow: the first ones are a unit longer; what is left of count beyond whole units goes to the
// last.
std::vector<Range> split_evenly(std::int64_t count, int parts, std::int64_t granule = 1);

// [ranks] contiguous ranges over the query heads, none empty. q_heads is a multiple of kv_heads and
// ranks is in [1, q_heads].
//   ranks <= kv_heads: whole KV groups, as even as they allow.
//   beyond: no range is longer than ceil(q_heads / ranks); among such splits the one with the
//   fewest KV heads held in all (fewest ranges across a group's border), then the most even one.
std::vector<Range> split_query_heads(std::int64_t q_heads, std::int64_t kv_heads, int ranks);

// KV heads that serve the query heads.
Range kv_heads_of(Range q_heads, std::int64_t group);

}  // namespace tutti
