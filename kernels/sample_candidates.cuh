// Top-k and top-p where few ids are enough, as they usually are: a histogram finds a logit below
// which nothing is kept, what is above goes to shared memory and is sorted there.
#pragma once

#include "kernels/sample_rows.cuh"

namespace tutti::sampling {

// Of a logit at a distance from the largest.
__device__ inline int bin_of(float distance) {
  return static_cast<int>(fminf(distance * kBinsPerUnit, kBins - 1));
}

// How far below the largest an id is, as the bins count it: top-k by logits, top-p by weights.
__device__ inline float distance_of(const Row& row, bool by_logit, float x) {
  return by_logit ? row.largest - x : -row.exponent(x);
}

// Counts the row's ids in shared.bins; *total is the mass of all, where weights are wanted.
template <int kThreads>
__device__ inline void count_bins(Shared<kThreads>& shared, const Row& row, bool by_logit,
                                  std::uint64_t* total) {
  for (int bin = static_cast<int>(threadIdx.x); bin < kBins; bin += kThreads) {
    shared.bins[bin] = 0;
  }
  __syncthreads();
  std::uint64_t mass = 0;
  walk<kThreads>(row, [&](int id, const float(&v)[4]) {
    for (int i = 0; i < 4; ++i) {
      if (id + i < row.n) {
        atomicAdd(&shared.bins[bin_of(distance_of(row, by_logit, v[i]))], 1u);
        mass += by_logit ? 0 : row.mass(v[i]);
      }
    }
  });
  *total = by_logit ? 0 : sum(shared, mass);
  __syncthreads();
}

// The last bin that may hold an id to keep: with the bins up to it there are `wanted` ids
// (by_logit), or all but at most `spare` of the mass. *count: how many ids those bins hold.
template <int kThreads>
__device__ inline int last_bin(Shared<kThreads>& shared, bool by_logit, std::uint64_t wanted,
                               std::uint64_t spare, std::uint64_t* count) {
  constexpr int kEach = kBins / kThreads > 0 ? kBins / kThreads : 1;
  const int begin = static_cast<int>(threadIdx.x) * kEach;
  // At least what the bin's ids weigh: its upper border's weight, and more than expf errs by.
  const auto most_mass = [&](int bin) {
    const float border = expf(-static_cast<float>(bin) / kBinsPerUnit);
    return shared.bins[bin] * (Row::fixed(border) + Row::fixed(border * 1e-5f) + 1);
  };
  std::uint64_t ids = 0;
  std::uint64_t mass = 0;
  for (int bin = begin; bin < begin + kEach; ++bin) {
    ids += shared.bins[bin];
    mass += most_mass(bin);
  }
  std::uint64_t all_ids = 0;
  std::uint64_t all_mass = 0;
  std::uint64_t ids_before = scan(shared, ids, &all_ids) - ids;
  std::uint64_t mass_before = scan(shared, mass, &all_mass) - mass;
  if (threadIdx.x == 0) {
    shared.found = kBins - 1;
    shared.rest = all_ids;
  }
  __syncthreads();
  for (int bin = begin; bin < begin + kEach; ++bin) {
    const std::uint64_t ids_after = ids_before + shared.bins[bin];
    const std::uint64_t mass_after = mass_before + most_mass(bin);
    const bool enough = by_logit ? ids_after >= wanted : all_mass - mass_after <= spare;
    const bool enough_before =
        bin > 0 && (by_logit ? ids_before >= wanted : all_mass - mass_before <= spare);
    if (enough && !enough_before) {
      shared.found = bin;
      shared.rest = ids_after;
    }
    ids_before = ids_after;
    mass_before = mass_after;
  }
  __syncthreads();
  *count = shared.rest;
  return shared.found;
}

// list[0, size) in ascending order, size a power of two (Batcher 1968).
template <int kThreads>
__device__ inline void sort(std::uint64_t* list, int size) {
  for (int run = 2; run <= size; run *= 2) {
    for (int stride = run / 2; stride > 0; stride /= 2) {
      for (int pair = static_cast<int>(threadIdx.x); pair < size / 2; pair += kThreads) {
        const int a = 2 * pair - (pair & (stride - 1));
        const bool ascending = (a & run) == 0;
        const std::uint64_t x = list[a];
        const std::uint64_t y = list[a + stride];
        if ((x > y) == ascending) {
          list[a] = y;
          list[a + stride] = x;
        }
      }
      __syncthreads();
    }
  }
}

// Fills up to a power of two with what sorts last, and sorts.
template <int kThreads>
__device__ inline void sort_first(std::uint64_t* list, int count) {
  int size = 1;
  while (size < count) {
    size *= 2;
  }
  __syncthreads();
  for (int i = count + static_cast<int>(threadIdx.x); i < size; i += kThreads) {
    list[i] = ~std::uint64_t{0};
  }
  __syncthreads();
  sort<kThreads>(list, size);
}

// The index in the list at which the running sum of value(entry) first exceeds what limit(total)
// says; count where none does.
template <int kThreads, typename Value, typename Limit>
__device__ inline int index_past(Shared<kThreads>& shared, int count, Value value, Limit limit) {
  const int each = (count + kThreads - 1) / kThreads;
  const int begin = static_cast<int>(threadIdx.x) * each;
  const int end = begin + each < count ? begin + each : count;
  std::uint64_t own = 0;
  for (int i = begin; i < end; ++i) {
    own += value(shared.list[i]);
  }
  std::uint64_t total = 0;
  std::uint64_t before = scan(shared, own, &total) - own;
  const std::uint64_t most = limit(total);
  if (threadIdx.x == 0) {
    shared.found = count;
  }
  __syncthreads();
  if (before <= most && most - before < own) {
    int i = begin;
    for (; most - before >= value(shared.list[i]); ++i) {
      before += value(shared.list[i]);
    }
    shared.found = i;
  }
  __syncthreads();
  const int found = shared.found;
  __syncthreads();
  return found;
}

// The ids of bins up to `most`, as ranks in any order.
template <int kThreads>
__device__ inline int gather(Shared<kThreads>& shared, const Row& row, bool by_logit, int most) {
  if (threadIdx.x == 0) {
    shared.count = 0;
  }
  __syncthreads();
  walk<kThreads>(row, [&](int id, const float(&v)[4]) {
    for (int i = 0; i < 4; ++i) {
      if (id + i < row.n && bin_of(distance_of(row, by_logit, v[i])) <= most) {
        shared.list[atomicAdd(&shared.count, 1u)] = rank_of(v[i], id + i);
      }
    }
  });
  __syncthreads();
  return static_cast<int>(shared.count);
}

// The drawn id; -1 where too many ids would have to be looked at.
template <int kThreads>
__device__ inline int draw_from_candidates(Shared<kThreads>& shared, const Row& row,
                                           const SampleRowRule& rule) {
  const bool top_k = rule.top_k > 0 && rule.top_k < row.n;
  std::uint64_t total = 0;
  count_bins(shared, row, top_k, &total);
  const std::uint64_t spare = top_k ? 0 : total - mass_for(rule.top_p, total);
  std::uint64_t ids = 0;
  const int most_bin = last_bin(shared, top_k, static_cast<std::uint64_t>(rule.top_k), spare, &ids);
  if (ids > kMostCandidates) {
    return -1;
  }
  int count = gather(shared, row, top_k, most_bin);
  sort_first<kThreads>(shared.list, count);
  count = top_k && rule.top_k < count ? rule.top_k : count;
  if (rule.top_p < 1) {
    const int last = index_past(
        shared, count, [&](std::uint64_t rank) { return row.mass(logit_of_rank(rank)); },
        [&](std::uint64_t of_list) { return mass_for(rule.top_p, top_k ? of_list : total) - 1; });
    if (last == count && !top_k) {
      return -1;  // the candidates fell short of the mass, which their bound excludes
    }
    count = last < count ? last + 1 : count;
  }
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) {  // by id
    const std::uint64_t rank = shared.list[i];
    shared.list[i] = std::uint64_t(id_of(rank)) << 32 | static_cast<std::uint32_t>(rank >> kIdBits);
  }
  sort_first<kThreads>(shared.list, count);
  const int drawn = index_past(
      shared, count,
      [&](std::uint64_t entry) {
        return row.mass_above_min_p(logit_of(~static_cast<std::uint32_t>(entry)));
      },
      [&](std::uint64_t of_list) { return draw_below(rule, of_list); });
  return static_cast<int>(shared.list[drawn] >> 32);
}

// The same by walks over the whole row.
template <int kThreads>
__device__ inline std::uint64_t rank_to_keep(Shared<kThreads>& shared, const Row& row,
                                             const SampleRowRule& rule) {
  std::uint64_t most_rank = ~std::uint64_t{0};
  if (rule.top_k > 0 && rule.top_k < row.n) {
    most_rank = rank_that_reaches(shared, row, static_cast<std::uint64_t>(rule.top_k),
                                  [](float) { return std::uint64_t{1}; });
  }
  if (rule.top_p < 1) {
    std::uint64_t mass = 0;
    walk<kThreads>(row, [&](int id, const float(&v)[4]) {
      for (int i = 0; i < 4; ++i) {
        mass += rank_of(v[i], id + i) <= most_rank ? row.mass(v[i]) : 0;
      }
    });
    const std::uint64_t wanted = mass_for(rule.top_p, sum(shared, mass));
    most_rank = rank_that_reaches(shared, row, wanted, [&](float x) { return row.mass(x); });
  }
  return most_rank;
}

// The id of a row that is no padding, or -1 (sample_rows.hpp).
template <int kThreads>
__device__ inline int sample_row(Shared<kThreads>& shared, Row& row, const SampleRowRule& rule,
                                 const Changes& changes) {
  const int first = largest(shared, row, changes, rule);
  if (first < 0 || !(rule.temperature > 0) || rule.top_k == 1) {
    return first;
  }
  row.temperature = rule.temperature;
  row.min_p = rule.min_p;
  const bool selects = (rule.top_k > 0 && rule.top_k < row.n) || rule.top_p < 1;
  std::uint64_t most_rank = ~std::uint64_t{0};
  if (selects) {
    const int id = draw_from_candidates(shared, row, rule);
    if (id >= 0) {
      return id;
    }
    most_rank = rank_to_keep(shared, row, rule);
  }
  return draw_from_row(shared, row, rule, most_rank);
}

}  // namespace tutti::sampling
