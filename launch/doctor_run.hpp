// tutti doctor: looks at every rank, tries what a job needs, and says what is wrong.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>

#include "launch/device_choice.hpp"
#include "launch/doctor_probe.hpp"
#include "launch/exit_code.hpp"

namespace tutti {

struct DoctorOptions {
  std::optional<std::filesystem::path> model;
  std::string expect;  // beginning of the model's fingerprint
  DeviceWish device = DeviceWish::automatic;
  std::chrono::milliseconds stage_deadline{30000};
  std::chrono::milliseconds grace{3000};  // for news of a stage to reach rank 0
  bool json = false;
  bool quiet = false;
};

// Collective. Rank 0 prints the report on standard output. Code `peer` where there is an error; a
// stage that hangs ends the job with it.
ExitCode run_doctor(const MpiSession& mpi, const DoctorOptions& options, DoctorProbe& probe);

}  // namespace tutti
