// tutti doctor: is this job's machine well?
#include "launch/commands.hpp"
#include "launch/doctor_run.hpp"
#include "launch/expected_model.hpp"
#include "launch/message_options.hpp"
#include "launch/session.hpp"

namespace tutti {
namespace {

CommandSpec doctor_spec() {
  return {
      .name = "doctor",
      .summary = "Look at every rank, its host, GPU and links, and say what is wrong",
      .synopsis = "[MODEL.h5] [options]",
      .text =
          "Start it just as the job will be: the same mpirun or srun line. Hosts, CPUs, GPUs, "
          "versions,\nnetworks, a timed all-reduce; with a model, whether all ranks see the same "
          "one, sound, and how\nfast it is read. Ends with a verdict, a line for each finding "
          "with its remedy; exit code 0 is\nhealthy (warnings allowed), 5 is not. What hangs is "
          "named, with its rank, and ends the job.",
      .groups = {{.title = "Doctor",
                  .options =
                      {
                          {.name = "stage-seconds",
                           .value = "S",
                           .help = "Most that one stage may take",
                           .fallback = "30"},
                          {.name = "device",
                           .value = "WHERE",
                           .help = "auto, cuda or host, as the job will have it",
                           .fallback = "auto"},
                          expect_option(),
                          {.name = "json", .value = "", .help = "One JSON object"},
                      }},
                 message_option_group()},
      .operands = {"MODEL.h5"},
      .optional_operands = 1,
      .examples = {"mpirun -n 4 tutti doctor", "srun tutti doctor m.h5",
                   "srun tutti doctor m.h5 --json > doctor.json"}};
}

ExitCode run(const MpiSession& mpi, const ParsedOptions& parsed) {
  constexpr double kLongest = 86400;
  DoctorOptions options;
  options.device = device_wish(parsed);
  options.stage_deadline = std::chrono::milliseconds(
      static_cast<std::int64_t>(1e3 * parsed.real("stage-seconds", 0.1, kLongest)));
  options.json = parsed.flag("json");
  options.quiet = message_options(parsed).quiet;
  if (parsed.given("MODEL.h5")) {
    options.model = parsed.text("MODEL.h5");
  }
  options.expect = expected_fingerprint(parsed);
  if (!options.expect.empty() && !options.model) {
    throw UsageError("--expect wants a model to look at: tutti doctor MODEL.h5 --expect …");
  }
  SystemProbe probe(mpi);
  return run_doctor(mpi, options, probe);
}

}  // namespace

Command doctor_command() {
  return {.spec = doctor_spec(), .run = run};
}

}  // namespace tutti
