// Not a test: microseconds of the collectives among GPUs by size and path, inside a graph, the
// slowest rank's; `mpirun -n 2 collectives_cuda_bench [FEWER_THAN_BYTES]`. 77 where GPUs lack.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "runtime/comm/collective_times.hpp"
#include "runtime/comm/gpu_group.hpp"
#include "tests/support/mpi_gpu.hpp"

namespace {

struct Path {
  bool symmetric, fused;
  int nodes = 1;  // that the ranks are told to be on
};

int run(const tutti::MpiSession& mpi, std::size_t most_bytes) {
  const tutti::testing::RankGpu gpu = tutti::testing::RankGpu::open(mpi);
  const bool root = mpi.rank() == 0;
  if (!gpu.why_not.empty()) {
    fmt::print(stderr, "no GPUs for this: {}\n", gpu.why_not);
    return 77;
  }
  for (const Path& path :
       {Path{false, false}, Path{true, false}, Path{true, true}, Path{true, true, 2}}) {
    if (path.nodes > 1 && (mpi.size() < 4 || mpi.size() % 2 != 0)) {
      continue;
    }
    tutti::NcclOptions options{
        .host = mpi.host(), .symmetric = path.symmetric, .fused = path.fused, .even_alone = true};
    options.blocking = std::getenv("TUTTI_BENCH_BLOCKING") != nullptr;
    options.warn = [](const std::string& line) { fmt::print(stderr, "{}\n", line); };
    const auto group =
        tutti::make_gpu_group(*gpu.library, *gpu.device, mpi.world(), *gpu.control,
                              tutti::testing::spread_over(path.nodes, mpi.size()), options);
    std::vector<tutti::CollectiveCase> cases = tutti::usual_collective_cases(tutti::Place::cuda);
    std::erase_if(cases, [&](const tutti::CollectiveCase& what) {
      return static_cast<std::size_t>(what.rows * what.columns) * size_of(what.dtype) > most_bytes;
    });
    const auto times = time_collectives(*group, *gpu.control, *gpu.device, cases);
    for (const tutti::CollectiveTime& time : times) {
      if (root) {
        fmt::print("{:<26} {:<52} {:>10} B {:>9.2f} us {:>7.1f} GB/s alg {:>7.1f} GB/s bus\n",
                   group->name(), describe(time.what), time.bytes, time.microseconds,
                   time.algorithm_rate, time.bus_rate);
        std::fflush(stdout);
      }
    }
    group->close();
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const tutti::MpiSession mpi(argc, argv);
  const std::size_t most = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : std::size_t{64} << 20;
  try {
    return run(mpi, most);
  } catch (const tutti::Error& error) {
    fmt::print(stderr, "rank {}: {}\n", mpi.rank(), error.what());
    mpi.abort(1);
  }
}
