#include "launch/bench_load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "launch/build_info.hpp"
#include "launch/progress.hpp"
#include "runtime/weights/input.hpp"
#include "runtime/weights/parallel.hpp"

namespace tutti {
namespace {

constexpr std::uint64_t kBlockBytes = 4 << 20;  // about what a reader of weights takes at once

// The rank's part of the whole file, block by block, by its threads. Returns the bytes.
std::uint64_t read_part(const Input& file, int rank, int ranks, int threads) {
  const std::uint64_t blocks = file.bytes() / kBlockBytes;
  const std::uint64_t begin =
      blocks * static_cast<std::uint64_t>(rank) / static_cast<std::uint64_t>(ranks);
  const std::uint64_t end =
      blocks * static_cast<std::uint64_t>(rank + 1) / static_cast<std::uint64_t>(ranks);
  std::vector<std::vector<std::byte>> buffers(static_cast<std::size_t>(threads));
  run_parallel(end - begin, threads, [&](std::size_t worker, std::size_t i) {
    buffers[worker].resize(kBlockBytes);
    file.read((begin + i) * kBlockBytes, buffers[worker]);
  });
  return (end - begin) * kBlockBytes;
}

// Collective. Bytes per second of all ranks together.
double raw_speed(Session& session, const Input& file) {
  session.control().barrier();
  const auto start = std::chrono::steady_clock::now();
  const std::uint64_t own = read_part(file, session.communicator().rank(),
                                      session.communicator().size(), session.threads());
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  double bytes = 0;
  double seconds = 0;
  for (const std::uint64_t one : gather(session.control(), own)) {
    bytes += static_cast<double>(one);
  }
  for (const double one : gather(session.control(), taken.count())) {
    seconds = std::max(seconds, one);
  }
  return bytes / seconds;
}

nlohmann::json speed_json(const Summary& speed) {
  return {{"p50", speed.p50}, {"least", speed.least}, {"most", speed.most}};
}

}  // namespace

LoadResult measure_load(Session& session, const LoadOptions& options) {
  const InputFile file(options.session.model);
  LoadResult result;
  std::vector<double> raw;
  std::vector<double> loaded;
  raw_speed(session, file);  // fills the page cache
  for (int repeat = 0; repeat < options.repeats; ++repeat) {
    raw.push_back(raw_speed(session, file));
    session.load(1, 1);
    const LoadedFacts& facts = session.facts();
    result.bytes = facts.load_bytes;
    loaded.push_back(static_cast<double>(facts.load_bytes) / facts.load_seconds);
  }
  result.raw_speed = summarize(raw);
  result.load_speed = summarize(loaded);
  return result;
}

std::string load_text(const LoadedFacts& facts, const LoadOptions& options,
                      const LoadResult& result) {
  return identity_banner(facts) + fmt::format(
                                      "run      {} repeats\n\n"
                                      "load            {} at {:.2f} GB/s (p50; {:.2f} to {:.2f})\n"
                                      "plain reading   {:.2f} GB/s (p50; {:.2f} to {:.2f})\n"
                                      "share           {:.1f} %\n",
                                      options.repeats, human_bytes(result.bytes),
                                      result.load_speed.p50 / 1e9, result.load_speed.least / 1e9,
                                      result.load_speed.most / 1e9, result.raw_speed.p50 / 1e9,
                                      result.raw_speed.least / 1e9, result.raw_speed.most / 1e9,
                                      100 * result.load_speed.p50 / result.raw_speed.p50);
}

nlohmann::json load_json(const LoadedFacts& facts, const LoadOptions& options,
                         const LoadResult& result) {
  return {{"benchmark", "load"},
          {"tutti", version()},
          {"model", {{"name", facts.model.name}, {"fingerprint", facts.model.fingerprint}}},
          {"ranks", facts.ranks},
          {"backend", facts.backend},
          {"repeats", options.repeats},
          {"bytes", result.bytes},
          {"load_bytes_per_second", speed_json(result.load_speed)},
          {"raw_bytes_per_second", speed_json(result.raw_speed)},
          {"share", result.load_speed.p50 / result.raw_speed.p50}};
}

}  // namespace tutti
