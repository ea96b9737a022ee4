// Runs `tutti doctor` with a fault planted on rank 1 (or 0), for tests under mpirun:
//   doctor_fault_probe FAULT DEADLINE_MS MODEL OTHER_MODEL
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>

#include "kernels/error.hpp"
#include "launch/doctor_run.hpp"
#include "tests/support/fault_communicator.hpp"

namespace {

using namespace tutti;

[[noreturn]] void hang() {
  for (;;) {
    ::pause();
  }
}

class PlantedProbe final : public SystemProbe {
 public:
  PlantedProbe(const MpiSession& mpi, std::string fault, std::filesystem::path other)
      : SystemProbe(mpi), fault_(std::move(fault)), other_(std::move(other)) {}

  void look_at_host(RankReport& report) override {
    SystemProbe::look_at_host(report);
    if (fault_ == "root_hangs" && mpi_.rank() == 0) {
      hang();
    }
    if (planted("version")) {
      report.mpi = "Open MPI v3.0.0";
    }
    if (planted("throws")) {
      throw Error("a planted failure");
    }
  }

  void look_at_file(RankReport& report, const std::filesystem::path& model) override {
    if (planted("file_hangs")) {
      hang();
    }
    if (planted("stopped")) {
      std::raise(SIGSTOP);
    }
    SystemProbe::look_at_file(report, file_for(model));
    if (planted("read_only")) {
      try_locks(report.file, "/proc/self");
    }
    if (planted("no_locks")) {
      report.file.flock_error = "No locks available";
      report.file.fcntl_error = "No locks available";
    }
  }

  void read_file(RankReport& report, const std::filesystem::path& model, FilePart part,
                 double seconds) override {
    SystemProbe::read_file(report, file_for(model), part, seconds);
  }

  Communicator& communicator(Communicator& opened) override {
    const bool hangs = planted("collective_hangs");
    if (!hangs && !planted("collective_throws")) {
      return opened;
    }
    faulty_.emplace(opened, Fault{.rank = mpi_.rank(),
                                  .call = 1,
                                  .delay = std::chrono::hours(hangs ? 1 : 0),
                                  .fail = true});
    return *faulty_;
  }

 private:
  bool planted(const std::string& fault) const { return fault_ == fault && mpi_.rank() == 1; }
  std::filesystem::path file_for(const std::filesystem::path& model) const {
    return planted("other_file") ? other_ : model;
  }

  std::string fault_;
  std::filesystem::path other_;
  std::optional<FaultCommunicator> faulty_;
};

}  // namespace

int main(int argc, char** argv) {
  const MpiSession mpi(argc, argv);
  if (argc != 5) {
    return 2;
  }
  PlantedProbe probe(mpi, argv[1], argv[4]);
  const DoctorOptions options{.model = argv[3],
                              .device = DeviceWish::host,
                              .stage_deadline = std::chrono::milliseconds(std::atoi(argv[2])),
                              .grace = std::chrono::milliseconds(1500)};
  return static_cast<int>(run_doctor(mpi, options, probe));
}
