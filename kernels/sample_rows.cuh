// One block draws one token from one row. Probabilities are whole multiples of 2^-45 of the
// largest, so that their sums are exact: whatever thread adds them in whatever order, the bits are
// the same. Ids are ordered by rank: larger logits first, equal ones by id.
#pragma once

#include <cstdint>

#include "kernels/philox.hpp"
#include "kernels/sample_rows.hpp"

namespace tutti::sampling {

inline constexpr int kIdBits = 19;
inline constexpr int kBins = 2048;
inline constexpr float kBinsPerUnit = 32;  // of logits, or of their quotient by the temperature
inline constexpr int kMostCandidates = 8192;
inline constexpr int kChunk = 128;  // neighbouring ids that one warp reads at once
inline constexpr int kBatch = 4;    // chunks in flight

// What the threads of a block share, in dynamic shared memory.
template <int kThreads>
struct Shared {
  std::uint64_t list[kMostCandidates];  // ranks, or a sum for each chunk
  std::uint64_t warps[kThreads / 32];
  std::uint32_t bins[kBins];
  std::uint64_t rest;
  int found;
  unsigned count;
};

// Bits that order as the numbers do; -0 and 0 are equal.
__device__ inline std::uint32_t order_of(float x) {
  const std::uint32_t bits = __float_as_uint(x + 0.0f);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

__device__ inline float logit_of(std::uint32_t order) {
  return __uint_as_float((order & 0x80000000u) != 0 ? order ^ 0x80000000u : ~order);
}

__device__ inline std::uint64_t rank_of(float x, int id) {
  return std::uint64_t{~order_of(x)} << kIdBits | static_cast<std::uint32_t>(id);
}
__device__ inline int id_of(std::uint64_t rank) {
  return static_cast<int>(rank & ((1u << kIdBits) - 1));
}
__device__ inline float logit_of_rank(std::uint64_t rank) {
  return logit_of(~static_cast<std::uint32_t>(rank >> kIdBits));
}

// The row and what its rule says of weights.
struct Row {
  const float* logits;
  int n;
  bool vectors;  // 16-byte aligned
  float largest;
  float temperature;
  float min_p;

  // As the host has it: the logarithm of the weight, at most 0, and the weight.
  __device__ float exponent(float x) const {
    const float below = x - largest;
    return temperature == 1 ? below : below / temperature;
  }
  __device__ float weight(float x) const {
    const float e = exponent(x);
    return e < -87.0f ? 0.0f : expf(e);
  }
  // The weight (at most 1) in units of 2^-45, cut off.
  __device__ std::uint64_t mass(float x) const { return fixed(weight(x)); }
  __device__ std::uint64_t mass_above_min_p(float x) const {
    const float w = weight(x);
    return w >= min_p ? fixed(w) : 0;
  }
  __device__ static std::uint64_t fixed(float w) {
    const std::uint32_t bits = __float_as_uint(w);
    const std::uint64_t mantissa = (bits & 0x7fffffu) | 0x800000u;
    const int shift = 127 - static_cast<int>(bits >> 23);
    return (mantissa << 22) >> (shift < 63 ? shift : 63);
  }
};

template <typename Combine>
__device__ inline std::uint64_t reduce_warp(std::uint64_t value, int lanes, Combine combine) {
  for (int offset = lanes / 2; offset > 0; offset /= 2) {
    value = combine(value, __shfl_xor_sync(0xffffffffu, value, offset));
  }
  return value;
}

// Of all threads' values, in all threads.
template <int kThreads, typename Combine>
__device__ inline std::uint64_t reduce(Shared<kThreads>& shared, std::uint64_t value,
                                       Combine combine) {
  constexpr int kWarps = kThreads / 32;
  value = reduce_warp(value, 32, combine);
  __syncthreads();
  if (threadIdx.x % 32 == 0) {
    shared.warps[threadIdx.x / 32] = value;
  }
  __syncthreads();
  return reduce_warp(shared.warps[threadIdx.x % kWarps], kWarps, combine);
}

template <int kThreads>
__device__ inline std::uint64_t sum(Shared<kThreads>& shared, std::uint64_t value) {
  return reduce(shared, value, [](std::uint64_t a, std::uint64_t b) { return a + b; });
}

__device__ inline std::uint64_t scan_warp(std::uint64_t value) {
  for (int offset = 1; offset < 32; offset *= 2) {
    const std::uint64_t before = __shfl_up_sync(0xffffffffu, value, offset);
    value += static_cast<int>(threadIdx.x % 32) >= offset ? before : 0;
  }
  return value;
}

// The sum of the values of this thread and those before it; *total of all.
template <int kThreads>
__device__ inline std::uint64_t scan(Shared<kThreads>& shared, std::uint64_t value,
                                     std::uint64_t* total) {
  value = scan_warp(value);
  __syncthreads();
  if (threadIdx.x % 32 == 31) {
    shared.warps[threadIdx.x / 32] = value;
  }
  __syncthreads();
  std::uint64_t before = 0;
  *total = 0;
  for (int warp = 0; warp < kThreads / 32; ++warp) {
    before += warp < static_cast<int>(threadIdx.x / 32) ? shared.warps[warp] : 0;
    *total += shared.warps[warp];
  }
  return before + value;
}

__device__ inline void load4(const Row& row, int id, float (&v)[4]) {
  if (row.vectors && id + 4 <= row.n) {
    const float4 x = *reinterpret_cast<const float4*>(row.logits + id);
    v[0] = x.x, v[1] = x.y, v[2] = x.z, v[3] = x.w;
    return;
  }
  for (int i = 0; i < 4; ++i) {
    v[i] = id + i < row.n ? row.logits[id + i] : __uint_as_float(0xff800000u);
  }
}

// use(id, v) with four neighbouring logits, from -infinity past the end of the row; a warp has the
// chunk id / kChunk, and all of its threads call.
template <int kThreads, typename Use>
__device__ inline void walk(const Row& row, Use use) {
  for (int base = 0; base < row.n; base += 4 * kThreads * kBatch) {
    float v[kBatch][4];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      load4(row, base + 4 * (i * kThreads + static_cast<int>(threadIdx.x)), v[i]);
    }
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      use(base + 4 * (i * kThreads + static_cast<int>(threadIdx.x)), v[i]);
    }
  }
}

// What of a row a sequence's rules change, and by what.
struct Changes {
  float* logits;
  Tally* tallies;
  const int2* biases;  // (id, bits of an f32)
};

template <int kThreads>
__device__ inline void add_listed(float* logits, const int2* pairs, int count) {
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) {
    const int2 pair = pairs[i];
    logits[pair.x] += __int_as_float(pair.y);
  }
  __syncthreads();  // the next list may name the same ids, and all threads read the row
}

// Bans are added here too: penalties leave -infinity what it is.
template <int kThreads>
__device__ inline void add_biases(const Changes& changes, const SampleRowRule& rule) {
  if (rule.biases > 0) {
    add_listed<kThreads>(changes.logits, changes.biases, rule.biases);
  }
  if (rule.bans > 0) {
    add_listed<kThreads>(changes.logits, changes.biases + rule.biases, rule.bans);
  }
}

__device__ inline void penalise4(float* logits, int id, int n, uint2 tallies,
                                 const SampleRowRule& rule, float (&v)[4]) {
  if ((tallies.x | tallies.y) == 0) {
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const auto tally = static_cast<Tally>((i < 2 ? tallies.x : tallies.y) >> (i % 2 * 16));
    if (tally != 0 && id + i < n) {
      v[i] = penalised(v[i], tally, rule.repetition_penalty, rule.presence_penalty,
                       rule.frequency_penalty);
      logits[id + i] = v[i];
    }
  }
}

// The same as `walk`, over the logits after penalties, which the row then holds.
template <int kThreads, typename Use>
__device__ inline void walk_penalised(const Row& row, const Changes& changes,
                                      const SampleRowRule& rule, Use use) {
  const auto id_of_batch = [](int base, int i) {
    return base + 4 * (i * kThreads + static_cast<int>(threadIdx.x));
  };
  for (int base = 0; base < row.n; base += 4 * kThreads * kBatch) {
    float v[kBatch][4];
    uint2 tallies[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      const int id = id_of_batch(base, i);
      load4(row, id, v[i]);
      tallies[i] = id < row.n ? *reinterpret_cast<const uint2*>(changes.tallies + id) : uint2{0, 0};
    }
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      const int id = id_of_batch(base, i);
      penalise4(changes.logits, id, row.n, tallies[i], rule, v[i]);
      use(id, v[i]);
    }
  }
}

// The first rank, after biases and penalties; an id of -1 where a logit is NaN or the largest is
// infinite.
template <int kThreads>
__device__ inline int largest(Shared<kThreads>& shared, Row& row, const Changes& changes,
                              const SampleRowRule& rule) {
  float most = __uint_as_float(0xff800000u);
  int most_id = 0;
  bool nan = false;
  const auto look = [&](int id, const float(&v)[4]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      nan |= v[i] != v[i];
      if (v[i] > most) {
        most = v[i];
        most_id = id + i;
      }
    }
  };
  add_biases<kThreads>(changes, rule);
  if (rule.penalises()) {
    walk_penalised<kThreads>(row, changes, rule, look);
  } else {
    walk<kThreads>(row, look);
  }
  const std::uint64_t first =
      reduce(shared, nan ? 0 : rank_of(most, most_id),
             [](std::uint64_t a, std::uint64_t b) { return a < b ? a : b; });
  row.largest = logit_of_rank(first);
  // A NaN of any thread is the smallest rank of all: 0.
  const bool finite = first != 0 && fabsf(row.largest) < __uint_as_float(0x7f800000u);
  return finite ? id_of(first) : -1;
}

// The smallest rank up to which value(logit) of the row's ids adds up to `wanted`, by bisection
// over the row: slow, and right whatever the row holds.
template <int kThreads, typename Value>
__device__ inline std::uint64_t rank_that_reaches(Shared<kThreads>& shared, const Row& row,
                                                  std::uint64_t wanted, Value value) {
  std::uint64_t below = 0;  // too small
  std::uint64_t reaches = (std::uint64_t{1} << (32 + kIdBits)) - 1;
  while (reaches - below > 1) {
    const std::uint64_t middle = below + (reaches - below) / 2;
    std::uint64_t found = 0;
    walk<kThreads>(row, [&](int id, const float(&v)[4]) {
      for (int i = 0; i < 4; ++i) {
        if (id + i < row.n && rank_of(v[i], id + i) <= middle) {
          found += value(v[i]);
        }
      }
    });
    if (sum(shared, found) >= wanted) {
      reaches = middle;
    } else {
      below = middle;
    }
  }
  return reaches;
}

// What of a sum top-p wants: at least the largest id.
__device__ inline std::uint64_t mass_for(float top_p, std::uint64_t total) {
  const auto wanted =
      static_cast<std::uint64_t>(ceil(static_cast<double>(top_p) * static_cast<double>(total)));
  return wanted > 0 ? wanted : 1;
}

// The whole number below which the running sum is passed over: floor(u * total), u in [0, 1).
__device__ inline std::uint64_t draw_below(const SampleRowRule& rule, std::uint64_t total) {
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
  const PhiloxCounter bits = philox_4x32_10(
      {low(rule.position), high(rule.position), low(rule.request), high(rule.request)},
      {low(rule.seed), high(rule.seed)});
  const std::uint64_t mantissa = (std::uint64_t{bits[0]} << 21) ^ (bits[1] >> 11);  // of 53 bits
  return __umul64hi(mantissa << 11, total);
}

// Draws among the ids up to a rank, in order of id, by two walks: sums of chunks, then one chunk.
template <int kThreads>
__device__ inline int draw_from_row(Shared<kThreads>& shared, const Row& row,
                                    const SampleRowRule& rule, std::uint64_t most_rank) {
  const auto kept_mass = [&](float x, int id) {
    const std::uint64_t mass = row.mass_above_min_p(x);
    return rank_of(x, id) <= most_rank ? mass : 0;
  };
  std::uint64_t* chunks = shared.list;
  __syncthreads();
  walk<kThreads>(row, [&](int id, const float(&v)[4]) {
    std::uint64_t mass = 0;
    for (int i = 0; i < 4; ++i) {
      mass += kept_mass(v[i], id + i);
    }
    mass = reduce_warp(mass, 32, [](std::uint64_t a, std::uint64_t b) { return a + b; });
    if (threadIdx.x % 32 == 0 && id < row.n) {
      chunks[id / kChunk] = mass;
    }
  });
  __syncthreads();
  const int count = (row.n + kChunk - 1) / kChunk;
  const int each = (count + kThreads - 1) / kThreads;
  const int begin = static_cast<int>(threadIdx.x) * each;
  const int end = begin + each < count ? begin + each : count;
  std::uint64_t own = 0;
  for (int chunk = begin; chunk < end; ++chunk) {
    own += chunks[chunk];
  }
  std::uint64_t total = 0;
  std::uint64_t before = scan(shared, own, &total) - own;
  const std::uint64_t target = draw_below(rule, total);
  if (before <= target && target - before < own) {
    int chunk = begin;
    for (; target - before >= chunks[chunk]; ++chunk) {
      before += chunks[chunk];
    }
    shared.found = chunk;
    shared.rest = target - before;
  }
  __syncthreads();
  const int first = shared.found * kChunk + 4 * static_cast<int>(threadIdx.x % 32);
  const std::uint64_t rest = shared.rest;
  __syncthreads();
  if (threadIdx.x < 32) {
    float v[4];
    load4(row, first, v);
    std::uint64_t mass[4];
    own = 0;
    for (int i = 0; i < 4; ++i) {
      mass[i] = kept_mass(v[i], first + i);
      own += mass[i];
    }
    before = scan_warp(own) - own;
    for (int i = 0; i < 4; before += mass[i], ++i) {
      if (before <= rest && rest - before < mass[i]) {
        shared.found = first + i;
      }
    }
  }
  __syncthreads();
  return shared.found;
}

}  // namespace tutti::sampling
