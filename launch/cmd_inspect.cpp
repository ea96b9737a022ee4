// tutti inspect: what a model file is, and whether it still is what it was.
#include <fmt/format.h>

#include <filesystem>

#include "launch/commands.hpp"
#include "launch/expected_model.hpp"
#include "launch/inspect_report.hpp"
#include "launch/message_options.hpp"
#include "launch/output.hpp"
#include "launch/progress.hpp"
#include "launch/threads.hpp"
#include "launch/together.hpp"
#include "runtime/comm/mpi_control_plane.hpp"

namespace tutti {
namespace {

CommandSpec inspect_spec() {
  return {
      .name = "inspect",
      .summary = "Show what a model file is; --verify hashes all of it again",
      .synopsis = "MODEL.h5 [options]",
      .text =
          "Name, fingerprint, parameters, configuration, tokenizer and chat format. With "
          "--verify every\nbyte is hashed again, in parallel; what differs is named and "
          "the exit code is 3.",
      .groups = {{.title = "Inspect",
                  .options =
                      {
                          {.name = "verify",
                           .value = "",
                           .help = "Hash everything again and compare with what is stored"},
                          {.name = "tensors", .value = "", .help = "List the tensors too"},
                          {.name = "json", .value = "", .help = "One JSON object"},
                          expect_option(),
                          {.name = "threads",
                           .value = "N",
                           .help = "Threads of --verify (default: the CPUs that this process may "
                                   "use)",
                           .may_differ = true},
                      }},
                 message_option_group()},
      .operands = {"MODEL.h5"},
      .examples = {"tutti inspect smollm2.h5", "tutti inspect smollm2.h5 --verify",
                   "tutti inspect smollm2.h5 --json | jq .fingerprint"}};
}

struct InspectCommand {
  std::filesystem::path model;
  bool verify = false;
  bool tensors = false;
  bool json = false;
  std::string expect;
  int threads = 1;
  MessageOptions messages;
};

InspectCommand inspect_options(const ParsedOptions& parsed) {
  return {.model = parsed.text("MODEL.h5"),
          .verify = parsed.flag("verify"),
          .tensors = parsed.flag("tensors"),
          .json = parsed.flag("json"),
          .expect = expected_fingerprint(parsed),
          .threads = parsed.given("threads") ? static_cast<int>(parsed.integer("threads", 1, 4096))
                                             : static_cast<int>(allowed_cpus().size()),
          .messages = message_options(parsed)};
}

std::vector<VerifyFinding> verify_with_progress(const ModelFile& file,
                                                const InspectCommand& command) {
  Progress progress(command.messages.progress_style(), "verifying", file.identity().weight_bytes);
  std::vector<VerifyFinding> findings =
      verify(file, command.threads, [&](std::uint64_t bytes) { progress.advance(bytes); });
  progress.finish();
  return findings;
}

void inspect(const InspectCommand& command) {
  const ModelFile file(command.model);
  require_expected(command.model.string(), file.identity(), command.expect);
  nlohmann::json object;
  if (command.json) {
    object = inspect_json(file, command.tensors);
  } else {
    write_result(inspect_text(file, command.tensors));
  }
  std::vector<VerifyFinding> findings;
  if (command.verify) {
    findings = verify_with_progress(file, command);
    object["verified"] = findings.empty();
    object["findings"] = nlohmann::json::array();
    for (const VerifyFinding& finding : findings) {
      object["findings"].push_back(
          {{"what", finding.what}, {"wanted", finding.wanted}, {"found", finding.found}});
    }
  }
  if (command.json) {
    write_result(object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  } else if (command.verify && findings.empty()) {
    write_result(
        fmt::format("\nverified       all {} tensors, configuration, tokenizer and "
                    "fingerprint are as stored\n",
                    file.tensors().size()));
  }
  if (!findings.empty()) {
    throw ModelFileError(fmt::format("{}: {}", file.path().string(), findings_text(findings)));
  }
}

ExitCode run(const MpiSession& mpi, const ParsedOptions& parsed) {
  const InspectCommand command = inspect_options(parsed);
  MpiControlPlane control(mpi.world());
  on_root(control, [&] { inspect(command); });
  return ExitCode::fine;
}

}  // namespace

Command inspect_command() {
  return {.spec = inspect_spec(), .run = run};
}

}  // namespace tutti
