// Microseconds of an all-reduce and of a broadcast, by size; rank 0 prints. The best
// of 20 short rounds: what the machine can do between the work of others.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "runtime/comm/mpi_communicator.hpp"
#include "runtime/comm/mpi_control_plane.hpp"
#include "runtime/comm/mpi_session.hpp"

namespace {

template <typename Call>
double microseconds(tutti::MpiControlPlane& control, int repeats, const Call& call) {
  using clock = std::chrono::steady_clock;
  std::array<double, 20> rounds{};
  for (double& round : rounds) {
    control.barrier();
    const auto begin = clock::now();
    for (int i = 0; i < repeats; ++i) {
      call();
    }
    round = std::chrono::duration<double, std::micro>(clock::now() - begin).count() / repeats;
  }
  return *std::min_element(rounds.begin(), rounds.end());
}

}  // namespace

int main(int argc, char** argv) {
  const tutti::MpiSession mpi(argc, argv);
  tutti::MpiCommunicator comm(mpi.world());
  tutti::MpiControlPlane control(mpi.world());
  for (const int count : {1, 576, 4096, 8192, 16384, 32768, 65536, 576 * 512, 1 << 20}) {
    std::vector<float> x(static_cast<std::size_t>(count), 0.0f);
    const tutti::TensorView view(x.data(), tutti::DType::f32, tutti::Place::host, {1, count});
    const double time = microseconds(control, std::clamp(2000000 / (count + 2000), 4, 1000),
                                     [&] { comm.all_reduce_sum({}, view); });
    if (mpi.rank() == 0) {
      fmt::print("all_reduce_sum {:8} f32, {} ranks: {:9.2f} us, {:6.2f} GB/s\n", count, mpi.size(),
                 time, 4e-3 * count / time);
    }
  }
  for (const std::size_t bytes : {64u, 4096u, 65536u, 10000000u}) {
    std::vector<std::byte> message(bytes);
    const double time = microseconds(control, bytes > 100000 ? 3 : 500, [&] {
      control.broadcast(message, 0);
      control.broadcast(message, mpi.size() - 1);
    });
    if (mpi.rank() == 0) {
      fmt::print("broadcast {:13} B, {} ranks: {:9.2f} us there and back\n", bytes, mpi.size(),
                 time);
    }
  }
  return 0;
}
