#include "launch/bench_load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "launch/progress.hpp"
#include "runtime/weights/input.hpp"
#include "runtime/weights/parallel.hpp"

namespace tutti {
namespace {

constexpr std::uint64_t kBlockBytes = 4 << 20;  // about what a reader of weights takes at once

// The rank's part of the whole file, and memory that it goes to.
class PlainReader {
 public:
  PlainReader(const Input& file, int rank, int ranks, int threads)
      : file_(file), threads_(threads) {
    const std::uint64_t blocks = (file.bytes() + kBlockBytes - 1) / kBlockBytes;
    const auto part = [&](int i) {
      return std::min(file.bytes(), blocks * static_cast<std::uint64_t>(i) /
                                        static_cast<std::uint64_t>(ranks) * kBlockBytes);
    };
    begin_ = part(rank);
    memory_ = allocate_host(part(rank + 1) - begin_, "what is read for comparison");
  }

  std::uint64_t bytes() const { return memory_.bytes(); }
  void read() {
    run_parallel(
        (bytes() + kBlockBytes - 1) / kBlockBytes, threads_, [&](std::size_t, std::size_t i) {
          const std::uint64_t at = i * kBlockBytes;  // the file's last block may be short
          file_.read(begin_ + at, {memory_.data() + at, std::min(kBlockBytes, bytes() - at)});
        });
  }

 private:
  const Input& file_;
  int threads_;
  std::uint64_t begin_ = 0;  // in the file
  DeviceMemory memory_;
};

// Collective. Bytes per second of all ranks together.
double raw_speed(Session& session, PlainReader& reader) {
  session.control().barrier();
  const auto start = std::chrono::steady_clock::now();
  reader.read();
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  double bytes = 0;
  double seconds = 0;
  for (const std::uint64_t one : gather(session.control(), reader.bytes())) {
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
  PlainReader reader(file, session.communicator().rank(), session.communicator().size(),
                     session.threads());
  raw_speed(session, reader);  // fills the page cache, touches the memory
  for (int repeat = 0; repeat < options.repeats; ++repeat) {
    raw.push_back(raw_speed(session, reader));
    // A driver clears what was freed: 100 GB of an earlier cache would slow the next load down.
    session.load(1, 1, KvSize::asked);
    const LoadedFacts facts = session.facts();
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
  nlohmann::json object = {{"benchmark", "load"},
                           {"repeats", options.repeats},
                           {"bytes", result.bytes},
                           {"load_bytes_per_second", speed_json(result.load_speed)},
                           {"raw_bytes_per_second", speed_json(result.raw_speed)},
                           {"share", result.load_speed.p50 / result.raw_speed.p50}};
  object.update(run_json(facts));
  return object;
}

}  // namespace tutti
