#include "launch/commands.hpp"

#include <fmt/format.h>

#include "launch/build_info.hpp"
#include "launch/output.hpp"
#include "launch/suggest.hpp"
#include "launch/watch_times.hpp"
#include "runtime/comm/agreement.hpp"
#include "runtime/comm/mpi_control_plane.hpp"

namespace tutti {
namespace {

std::string overview() {
  std::string text =
      "Tutti answers with large language models on any number of MPI ranks.\n\n"
      "Usage: tutti COMMAND …            by itself, or\n"
      "       mpirun -n N tutti COMMAND …   on N ranks that share one model\n\nCommands:\n";
  for (const Command& command : all_commands()) {
    text += fmt::format("  {:<10} {}\n", command.spec.name, command.spec.summary);
  }
  text +=
      "\n  tutti COMMAND --help   what a command takes, with examples\n"
      "  tutti --version        versions of the program and its libraries\n\n"
      "Exit codes: 0 fine, 1 failed, 2 usage or configuration, 3 model file, 4 does not fit,\n"
      "5 a peer, link or device failed, 75 ended early: run me again.\n";
  return text;
}

Command command_named(const std::string& name) {
  std::vector<std::string> known;
  for (Command& command : all_commands()) {
    if (command.spec.name == name) {
      return std::move(command);
    }
    known.push_back(command.spec.name);
  }
  const std::string meant = nearest(name, known);
  throw UsageError(fmt::format("'{}' is no command{}: known are {}; see 'tutti --help'", name,
                               meant.empty() ? "" : fmt::format(", did you mean '{}'?", meant),
                               fmt::join(known, ", ")));
}

std::string common_part(const std::vector<std::string>& arguments) {
  try {
    if (!arguments.empty()) {
      const Command command = command_named(arguments[0]);
      return parse_options(command.spec, {arguments.begin() + 1, arguments.end()}).common_text();
    }
  } catch (const UsageError&) {
    // Wrong on all ranks or not: as it was written is what they compare.
  }
  return fmt::format("{}", fmt::join(arguments, " "));
}

// `mpirun -n 1 tutti … : -n 1 tutti …` and `srun --multi-prog` can give each rank its own. One that
// goes another way would leave the others waiting for ever.
void require_same_command_line(const MpiSession& mpi, const std::vector<std::string>& arguments) {
  MpiControlPlane control(mpi.world());
  try {
    require_agreement(control, "command line", common_part(arguments), mpi.host());
  } catch (const ModelFileError& error) {
    throw UsageError(error.what());
  }
}

void show(const MpiSession& mpi, const std::string& text) {
  if (mpi.rank() == 0) {
    write_result(text);
  }
}

}  // namespace

std::vector<Command> all_commands() {
  return {import_command(), inspect_command(), plan_command(),  generate_command(),
          batch_command(),  bench_command(),   doctor_command()};
}

ExitCode run_command_line(const MpiSession& mpi, const std::vector<std::string>& arguments) {
  if (mpi.size() > 1) {
    require_same_command_line(mpi, arguments);
  }
  mpi.state().enter({.name = "at work", .deadline = watch_times(arguments).peer, .pace = true});
  if (arguments.empty()) {
    throw UsageError("wanted a command, found none: see 'tutti --help'");
  }
  const std::string& first = arguments[0];
  if (first == "--version" || first == "version") {
    show(mpi, version_text());
    return ExitCode::fine;
  }
  const bool help = first == "help" || first == "--help" || first == "-h";
  if (help && arguments.size() == 1) {
    show(mpi, overview());
    return ExitCode::fine;
  }
  if (first.starts_with("-") && !help) {
    throw UsageError(fmt::format("wanted a command before '{}': see 'tutti --help'", first));
  }
  const Command command = command_named(help ? arguments[1] : first);
  if (help) {
    show(mpi, help_of(command.spec));
    return ExitCode::fine;
  }
  const ParsedOptions options =
      parse_options(command.spec, {arguments.begin() + 1, arguments.end()});
  if (options.help()) {
    show(mpi, help_of(command.spec));
    return ExitCode::fine;
  }
  return command.run(mpi, options);
}

}  // namespace tutti
