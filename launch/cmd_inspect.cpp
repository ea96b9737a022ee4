// tutti inspect: what a model file is, and whether it still is what it was.
#include <fmt/format.h>
#include <unistd.h>

#include <mutex>

#include "launch/commands.hpp"
#include "launch/inspect_report.hpp"
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
                          {.name = "threads",
                           .value = "N",
                           .help = "Threads of --verify (default: the CPUs that this process may "
                                   "use)",
                           .may_differ = true},
                      }},
                 {.title = "Messages on standard error",
                  .options =
                      {
                          {.name = "quiet",
                           .short_name = 'q',
                           .value = "",
                           .help = "Only warnings and errors"},
                          {.name = "progress",
                           .value = "auto|bar|lines|none",
                           .help = "How progress is shown; auto: a bar for a person, lines in a "
                                   "log",
                           .fallback = "auto"},
                      }}},
      .operands = {"MODEL.h5"},
      .examples = {"tutti inspect smollm2.h5", "tutti inspect smollm2.h5 --verify",
                   "tutti inspect smollm2.h5 --json | jq .fingerprint"}};
}

std::vector<VerifyFinding> verify_with_progress(const ModelFile& file,
                                                const ParsedOptions& parsed) {
  static const std::vector<std::string> kStyles = {"auto", "bar", "lines", "none"};
  const int threads = parsed.given("threads") ? static_cast<int>(parsed.integer("threads", 1, 4096))
                                              : static_cast<int>(allowed_cpus().size());
  const bool person = person_looks_on(look_at_stream(STDERR_FILENO));
  Progress progress(
      progress_style(parsed.choice("progress", kStyles), person, parsed.flag("quiet")), "verifying",
      file.identity().weight_bytes);
  std::vector<VerifyFinding> findings =
      verify(file, threads, [&](std::uint64_t bytes) { progress.advance(bytes); });
  progress.finish();
  return findings;
}

void inspect(const ParsedOptions& parsed) {
  const ModelFile file(parsed.text("MODEL.h5"));
  nlohmann::json object;
  if (parsed.flag("json")) {
    object = inspect_json(file, parsed.flag("tensors"));
  } else {
    write_result(inspect_text(file, parsed.flag("tensors")));
  }
  std::vector<VerifyFinding> findings;
  if (parsed.flag("verify")) {
    findings = verify_with_progress(file, parsed);
    object["verified"] = findings.empty();
    object["findings"] = nlohmann::json::array();
    for (const VerifyFinding& finding : findings) {
      object["findings"].push_back(
          {{"what", finding.what}, {"wanted", finding.wanted}, {"found", finding.found}});
    }
  }
  if (parsed.flag("json")) {
    write_result(object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  } else if (parsed.flag("verify") && findings.empty()) {
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
  MpiControlPlane control(mpi.world());
  on_root(control, [&] { inspect(parsed); });
  return ExitCode::fine;
}

}  // namespace

Command inspect_command() {
  return {.spec = inspect_spec(), .run = run};
}

}  // namespace tutti
