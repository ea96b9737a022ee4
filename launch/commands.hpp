// The subcommands: what each takes and does. One file each, cmd_NAME.cpp.
#pragma once

#include <string>
#include <vector>

#include "launch/exit_code.hpp"
#include "launch/options.hpp"
#include "runtime/comm/mpi_session.hpp"

namespace tutti {

struct Command {
  CommandSpec spec;
  // Called on all ranks with the same options.
  ExitCode (*run)(const MpiSession& mpi, const ParsedOptions& options) = nullptr;
};

Command import_command();
Command inspect_command();
Command plan_command();
Command generate_command();
Command batch_command();
Command bench_command();
Command doctor_command();

// In the order in which `tutti --help` lists them.
std::vector<Command> all_commands();

// Everything after the program's name. Errors: UsageError and what the command throws.
ExitCode run_command_line(const MpiSession& mpi, const std::vector<std::string>& arguments);

}  // namespace tutti
