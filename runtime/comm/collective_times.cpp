#include "runtime/comm/collective_times.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "runtime/device/replay_time.hpp"

namespace tutti {
namespace {

using Kind = CollectiveCase::Kind;

constexpr std::size_t kLong = std::size_t{4} << 20;  // fewer in a row from here on

std::size_t bytes_of(const CollectiveCase& what) {
  return static_cast<std::size_t>(what.rows * what.columns) * size_of(what.dtype);
}

// One piece of memory of each kind for all cases, and the small ones beside x.
class Bench {
 public:
  Bench(Communicator& group, ControlPlane& control, Device& device,
        std::span<const CollectiveCase> cases)
      : group_(group), control_(control), device_(device) {
    std::size_t plain = 256;
    std::size_t shared = 256;
    std::size_t elements = 64;
    std::size_t columns = 64;
    for (const CollectiveCase& what : cases) {
      std::size_t& most = what.shared ? shared : plain;
      most = std::max(most, bytes_of(what));
      columns = std::max(columns, static_cast<std::size_t>(what.columns));
      if (what.kind != Kind::all_reduce) {
        elements = std::max(elements, static_cast<std::size_t>(what.rows * what.columns));
      }
    }
    plain_ = zeros(device_.allocate(plain, "the benchmark"));
    shared_ = zeros(group_.allocate_shared(device_, shared, "the benchmark"));
    floats_ = zeros(device_.allocate(elements * sizeof(float), "the benchmark"));
    weight_ = zeros(device_.allocate(columns * sizeof(float), "the benchmark"));
  }

  CollectiveTime time(const CollectiveCase& what, int repeats) {
    const int calls = bytes_of(what) >= kLong ? 10 : 100;
    const double seconds = replay_seconds(
        device_, repeats,
        [&] {
          for (int i = 0; i < calls; ++i) {
            call(what);
          }
        },
        [&] {
          device_.synchronize();
          control_.barrier();
        });
    return rates(what, 1e6 * slowest(seconds) / calls);
  }

 private:
  DeviceMemory zeros(DeviceMemory memory) {
    device_.fill_zero(memory.data(), memory.bytes());
    return memory;
  }

  TensorView matrix(const DeviceMemory& memory, DType dtype, std::int64_t rows,
                    std::int64_t columns) const {
    return {memory.data(), dtype, device_.place(), {rows, columns}};
  }

  void call(const CollectiveCase& what) {
    const TensorView x =
        matrix(what.shared ? shared_ : plain_, what.dtype, what.rows, what.columns);
    const Exec exec = device_.exec();
    if (what.kind == Kind::all_reduce) {
      group_.all_reduce_sum(exec, x);
    } else if (what.kind == Kind::all_reduce_add_rmsnorm) {
      group_.all_reduce_add_rmsnorm(
          exec, {.x = x,
                 .residual = matrix(floats_, DType::f32, what.rows, what.columns),
                 .weight = {weight_.data(), DType::f32, device_.place(), {what.columns}},
                 .y = x});
    } else {
      const std::int64_t part = what.columns / group_.size();
      const std::vector<std::int64_t> columns(static_cast<std::size_t>(group_.size()), part);
      const TensorView y = x.column_slice({0, part * group_.size()});
      const TensorView own = matrix(floats_, DType::f32, what.rows, part);
      group_.all_gather_columns(exec, group_.size() == 1 ? y : own, columns, y);
    }
  }

  double slowest(double own) {
    double most = 0;
    for (const auto& bytes : control_.all_gather(std::as_bytes(std::span(&own, 1)))) {
      double theirs = 0;
      std::memcpy(&theirs, bytes.data(), sizeof theirs);
      most = std::max(most, theirs);
    }
    return most;
  }

  CollectiveTime rates(const CollectiveCase& what, double microseconds) const {
    const double ranks = group_.size();
    const double share = (ranks - 1) / ranks * (what.kind == Kind::all_gather ? 1 : 2);
    const auto bytes = bytes_of(what);
    const double rate = 1e-3 * static_cast<double>(bytes) / microseconds;
    return {.what = what,
            .bytes = bytes,
            .microseconds = microseconds,
            .algorithm_rate = rate,
            .bus_rate = rate * share};
  }

  Communicator& group_;
  ControlPlane& control_;
  Device& device_;
  DeviceMemory plain_, shared_, floats_, weight_;
};

}  // namespace

std::string describe(const CollectiveCase& what) {
  const std::string_view kind = what.kind == Kind::all_reduce ? "all_reduce"
                                : what.kind == Kind::all_reduce_add_rmsnorm
                                    ? "all_reduce_add_rmsnorm"
                                    : "all_gather";
  return fmt::format("{} {} x {} {}{}", kind, what.rows, what.columns, name_of(what.dtype),
                     what.shared ? "" : ", plain memory");
}

std::vector<CollectiveCase> usual_collective_cases(Place place) {
  const bool host = place == Place::host;
  const DType dtype = host ? DType::f32 : DType::bf16;
  std::vector<CollectiveCase> cases;
  for (std::size_t bytes = 8192; bytes <= (host ? 4u : 64u) << 20; bytes *= 2) {
    cases.push_back({.columns = static_cast<std::int64_t>(bytes / size_of(dtype)), .dtype = dtype});
  }
  for (const std::int64_t hidden : {4096, 8192}) {
    for (const std::int64_t tokens : {1, 4, 16}) {
      cases.push_back({.kind = Kind::all_reduce_add_rmsnorm,
                       .rows = tokens,
                       .columns = hidden,
                       .dtype = dtype});
    }
  }
  for (const std::int64_t rows : {1, 16}) {
    for (const std::int64_t vocabulary : {32000, 128256}) {
      cases.push_back(
          {.kind = Kind::all_gather, .rows = rows, .columns = vocabulary, .dtype = DType::f32});
    }
  }
  return cases;
}

std::vector<CollectiveTime> time_collectives(Communicator& group, ControlPlane& control,
                                             Device& device, std::span<const CollectiveCase> cases,
                                             int repeats) {
  Bench bench(group, control, device, cases);
  std::vector<CollectiveTime> times;
  times.reserve(cases.size());
  for (const CollectiveCase& what : cases) {
    times.push_back(bench.time(what, repeats));
  }
  return times;
}

}  // namespace tutti
