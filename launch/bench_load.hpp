// tutti bench load: how fast the weights arrive, beside plain reading of as many bytes.
#pragma once

#include "launch/session.hpp"
#include "launch/statistics.hpp"

namespace tutti {

struct LoadOptions {
  SessionOptions session;
  int repeats = 3;
  bool json = false;
};

struct LoadResult {
  std::uint64_t bytes = 0;  // read by all ranks together, once
  Summary load_speed;       // bytes per second, one value per repeat: file to device, checked
  Summary raw_speed;        // the same bytes by pread into ordinary memory, by as many threads
};

// Collective; complete on rank 0 only. Plain reading goes first, so that both find the file in the
// page cache where it fits.
LoadResult measure_load(Session& session, const LoadOptions& options);

std::string load_text(const LoadedFacts& facts, const LoadOptions& options,
                      const LoadResult& result);
nlohmann::json load_json(const LoadedFacts& facts, const LoadOptions& options,
                         const LoadResult& result);

}  // namespace tutti
