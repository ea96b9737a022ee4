#include "launch/bench_ceilings.hpp"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/host_library.hpp"
#include "launch/device_ceilings.hpp"
#include "launch/together.hpp"

namespace tutti {
namespace {

constexpr int kPasses = 7;
constexpr std::size_t kBytesOfNode = std::size_t{1} << 30;
constexpr int kGemmRepeats = 3;

std::uint64_t sum(const std::uint64_t* data, std::size_t count) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    total += data[i];
  }
  return total;
}

double library_gemm_seconds(Session& session, std::int64_t tokens, std::int64_t in,
                            std::int64_t out) {
  Device& device = session.device();
  return device.place() == Place::host
             ? host_library_gemm_seconds(tokens, in, out, session.threads(), kGemmRepeats)
             : device_gemm_seconds(device, session.cache().layout().dtype, tokens, in, out,
                                   kGemmRepeats);
}

}  // namespace

double read_bandwidth(int threads, std::size_t bytes) {
  using Clock = std::chrono::steady_clock;
  const auto parts = static_cast<std::size_t>(threads);
  const std::size_t words = bytes / sizeof(std::uint64_t) / parts;
  std::vector<std::vector<std::uint64_t>> memory(parts);
  std::vector<std::uint64_t> totals(parts);
  std::barrier gate(static_cast<std::ptrdiff_t>(parts));
  double best = 0;
  Clock::time_point start;
  const auto work = [&](std::size_t part) {
    memory[part].assign(words, part + 1);  // by its own thread, so that the memory is near
    for (int pass = 0; pass < kPasses; ++pass) {
      gate.arrive_and_wait();
      if (part == 0) {
        start = Clock::now();
      }
      gate.arrive_and_wait();
      totals[part] += sum(memory[part].data(), words);
      gate.arrive_and_wait();
      if (part == 0) {
        const std::chrono::duration<double> taken = Clock::now() - start;
        const double read = static_cast<double>(words * parts * sizeof(std::uint64_t));
        best = std::max(best, read / taken.count());
      }
    }
  };
  std::vector<std::jthread> team;
  for (std::size_t part = 1; part < parts; ++part) {
    team.emplace_back(work, part);
  }
  work(0);
  team.clear();
  // Without a use of the totals the compiler could leave the reading out.
  return totals[0] == static_cast<std::uint64_t>(kPasses) * words ? best : 0;
}

double read_bandwidth_of_all(Session& session) {
  const bool host = session.device().place() == Place::host;
  const std::size_t bytes = kBytesOfNode / static_cast<std::size_t>(session.plan().ranks());
  session.control().barrier();
  double total = 0;
  for (const double one :
       gather(session.control(), host ? read_bandwidth(session.threads(), bytes)
                                      : device_read_bandwidth(session.device()))) {
    total += one;
  }
  return total;
}

GemmCeiling library_gemm_of_all(Session& session, std::int64_t tokens) {
  const ShardShape& shape = session.plan().shape();
  const RankShare& share = session.share();
  const std::int64_t q = share.q_heads.size() * shape.head_dim;
  const std::int64_t kv = share.kv_heads.size() * shape.head_dim;
  // Experts as one of their sort with all its tokens, which is more than can be had.
  const double per_token =
      shape.experts == 0 ? 1
                         : static_cast<double>(shape.experts_per_token * share.experts.size()) /
                               static_cast<double>(shape.experts);
  struct Product {
    std::int64_t out, in;
    double rows = 1;  // for each token
  };
  const std::vector<Product> products = {
      {q + 2 * kv, shape.hidden},
      {shape.hidden, q},
      {(shape.ffn_matrices - 1) * share.ffn.size(), shape.hidden, per_token},
      {shape.hidden, share.ffn.size(), per_token},
      {2 * share.shared_ffn.size(), shape.hidden},
      {shape.hidden, share.shared_ffn.size()}};
  const std::int64_t step = std::min<std::int64_t>(tokens, session.model().max_step_tokens());
  struct Mine {
    double flops = 0;
    double seconds = 0;
  } mine;
  session.control().barrier();
  for (const auto& [out, in, rows] : products) {
    if (out == 0 || in == 0) {
      continue;
    }
    const double times =
        static_cast<double>(shape.layers) * static_cast<double>(tokens) / static_cast<double>(step);
    const auto step_rows = static_cast<std::int64_t>(rows * static_cast<double>(step));
    mine.seconds +=
        times * library_gemm_seconds(session, std::max<std::int64_t>(step_rows, 1), in, out);
    mine.flops += 2.0 * static_cast<double>(shape.layers) * static_cast<double>(tokens) * rows *
                  static_cast<double>(out) * static_cast<double>(in);
  }
  GemmCeiling ceiling;
  for (const Mine& rank : gather(session.control(), mine)) {
    ceiling.flops += rank.flops;
    ceiling.seconds = std::max(ceiling.seconds, rank.seconds);
  }
  return ceiling;
}

}  // namespace tutti
