// How `tutti doctor` looks at one rank. Behind an interface, so that tests can plant faults.
#pragma once

#include <filesystem>
#include <memory>

#include "launch/device_choice.hpp"
#include "launch/doctor_report.hpp"
#include "runtime/comm/mpi_session.hpp"

namespace tutti {

class Communicator;

// Which part of a file a rank reads: ranks that see the same copy of it divide it.
struct FilePart {
  int index = 0;
  int count = 1;
};

// All calls are on one thread of the rank's, not always the same one, and fill in a part of the
// report. What they throw is a failed stage; what blocks is a stage that hangs.
class DoctorProbe {
 public:
  virtual ~DoctorProbe() = default;
  virtual void look_at_host(RankReport& report) = 0;
  virtual void look_at_gpus(RankReport& report, DeviceWish wish) = 0;
  virtual void look_at_networks(RankReport& report) = 0;
  // Opens the model and tries its folder. What is wrong with them goes into the report.
  virtual void look_at_file(RankReport& report, const std::filesystem::path& model) = 0;
  // Reads and checks this rank's part, for `seconds` at most.
  virtual void read_file(RankReport& report, const std::filesystem::path& model, FilePart part,
                         double seconds) = 0;
  // The communicator that is tried, or one that goes through it.
  virtual Communicator& communicator(Communicator& opened) { return opened; }
};

class SystemProbe : public DoctorProbe {
 public:
  explicit SystemProbe(const MpiSession& mpi) : mpi_(mpi) {}

  void look_at_host(RankReport& report) override;
  void look_at_gpus(RankReport& report, DeviceWish wish) override;
  void look_at_networks(RankReport& report) override;
  void look_at_file(RankReport& report, const std::filesystem::path& model) override;
  void read_file(RankReport& report, const std::filesystem::path& model, FilePart part,
                 double seconds) override;

 protected:
  const MpiSession& mpi_;
};

// Interfaces that are up and links of the fast kinds, from a sysfs at `sys`.
std::vector<InterfaceReport> interfaces_that_are_up(const std::filesystem::path& sys);
std::vector<std::string> fast_links_that_are_up(const std::filesystem::path& sys);

// Whether files can be made and locked in `folder`.
void try_locks(FileReport& report, const std::filesystem::path& folder);

}  // namespace tutti
