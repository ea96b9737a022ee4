#include "launch/doctor_run.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "kernels/error.hpp"
#include "launch/doctor_stages.hpp"
#include "launch/doctor_text.hpp"
#include "launch/output.hpp"
#include "launch/rank_device.hpp"
#include "launch/together.hpp"
#include "runtime/comm/collective_times.hpp"
#include "runtime/comm/mpi_control_plane.hpp"

namespace tutti {
namespace {

using Kind = DoctorStages::Kind;
using Step = DoctorStages::Step;

constexpr int kRepeats = 5;

std::vector<CollectiveCase> cases_for(Place place) {
  const DType dtype = place == Place::host ? DType::f32 : DType::bf16;
  std::vector<CollectiveCase> cases;
  for (const std::int64_t bytes : {8 << 10, 64 << 10, 1 << 20, 16 << 20}) {
    if (place != Place::host || bytes <= 1 << 20) {
      cases.push_back(
          {.columns = bytes / static_cast<std::int64_t>(size_of(dtype)), .dtype = dtype});
    }
  }
  return cases;
}

void try_collectives(const MpiSession& mpi, const DoctorOptions& options, DoctorProbe& probe,
                     RankReport& report, const Step& step) {
  step("opening");
  MpiControlPlane control(mpi.world());
  const RankGrid grid({.replicas = 1, .stages = 1, .tensor_ranks = mpi.size()}, mpi.node_of_rank());
  RankDevice own = open_rank_device(options.device, mpi, grid, control, 1);
  report.backend = own.backend;
  Communicator& group = probe.communicator(*own.communicator);
  step("first sum");
  try_first_sum(group, *own.device);
  step("timing");
  for (const CollectiveTime& time :
       time_collectives(group, control, *own.device, cases_for(own.device->place()), kRepeats)) {
    report.collectives.push_back({.what = describe(time.what),
                                  .bytes = time.bytes,
                                  .microseconds = time.microseconds,
                                  .bus_rate = time.bus_rate});
  }
  step("closing");
  own.communicator->close();
}

bool look_at_model(const DoctorOptions& options, DoctorProbe& probe, DoctorStages& stages) {
  const std::filesystem::path& model = *options.model;
  if (!stages.run("model file", Kind::alone, [&probe, &model](RankReport& report, const Step&) {
        probe.look_at_file(report, model);
      })) {
    return false;
  }
  // The rest of the deadline is for the file system's own delays.
  const double seconds = std::chrono::duration<double>(options.stage_deadline).count() / 2;
  const FilePart part = stages.part();
  return stages.run("reading", Kind::alone, [=, &probe, &model](RankReport& report, const Step&) {
    if (report.file.error.empty()) {
      probe.read_file(report, model, part, seconds);
    }
  });
}

bool examine(const MpiSession& mpi, const DoctorOptions& options, DoctorProbe& probe,
             DoctorStages& stages) {
  return stages.run("host", Kind::alone,
                    [&](RankReport& report, const Step&) { probe.look_at_host(report); }) &&
         stages.run("networks", Kind::alone,
                    [&](RankReport& report, const Step&) { probe.look_at_networks(report); }) &&
         stages.run("GPUs", Kind::alone,
                    [&](RankReport& report, const Step&) {
                      probe.look_at_gpus(report, options.device);
                    }) &&
         (!options.model || look_at_model(options, probe, stages)) &&
         (mpi.size() == 1 ||
          stages.run("collectives", Kind::together, [&](RankReport& report, const Step& step) {
            try_collectives(mpi, options, probe, report, step);
          }));
}

std::vector<Finding> print_report(const DoctorOptions& options, const Examination& found) {
  const std::vector<Finding> findings = diagnose(found);
  write_result(options.json
                   ? doctor_json(found, findings)
                             .dump(2, ' ', false, nlohmann::json::error_handler_t::replace) +
                         "\n"
                   : doctor_text(found, findings));
  return findings;
}

}  // namespace

ExitCode run_doctor(const MpiSession& mpi, const DoctorOptions& options, DoctorProbe& probe) {
  MpiControlPlane control(mpi.world());
  DoctorStages stages(mpi, control, {.deadline = options.stage_deadline, .grace = options.grace});
  if (mpi.rank() == 0 && !options.quiet) {
    write_message(fmt::format("looking at {} rank{}, a stage takes {:.0f} s at most\n", mpi.size(),
                              mpi.size() == 1 ? "" : "s",
                              std::chrono::duration<double>(options.stage_deadline).count()));
  }
  const bool whole = examine(mpi, options, probe, stages);
  if (!whole) {
    if (mpi.rank() == 0) {
      print_report(options, stages.found());
    }
    stages.end_job();
  }
  ExitCode code = ExitCode::fine;
  on_root(control, [&] {
    code = healthy(print_report(options, stages.found())) ? ExitCode::fine : ExitCode::peer;
  });
  return static_cast<ExitCode>(from_root(control, static_cast<std::int64_t>(code)));
}

}  // namespace tutti
