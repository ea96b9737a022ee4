// What this machine could do at best, measured in the same run as what Tutti does.
#pragma once

#include <cstddef>
#include <cstdint>

#include "launch/session.hpp"

namespace tutti {

// Bytes per second at which this rank's threads read memory that no cache holds; best of a few
// passes over `bytes`.
double read_bandwidth(int threads, std::size_t bytes);

// Collective. The sum over all ranks, all at once, with the threads that the model runs on.
double read_bandwidth_of_all(Session& session);

struct GemmCeiling {
  double flops = 0;    // of all matrix products of `tokens` prompt tokens, all ranks
  double seconds = 0;  // that the library alone takes for them, on the slowest rank
};

// Collective. The products of a prompt of `tokens`, in the shapes that each rank computes (the head
// and attention left out), by the library alone, all ranks at once.
GemmCeiling library_gemm_of_all(Session& session, std::int64_t tokens);

}  // namespace tutti
