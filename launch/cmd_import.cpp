// tutti import: a Hugging Face folder or a GGUF file becomes one model file.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "kernels/error.hpp"
#include "launch/build_info.hpp"
#include "launch/commands.hpp"
#include "launch/expected_model.hpp"
#include "launch/identity_banner.hpp"
#include "launch/message_options.hpp"
#include "launch/output.hpp"
#include "launch/progress.hpp"
#include "launch/stop_signals.hpp"
#include "launch/threads.hpp"
#include "launch/together.hpp"
#include "models/registry.hpp"
#include "runtime/comm/mpi_control_plane.hpp"
#include "runtime/weights/import.hpp"
#include "runtime/weights/model_file.hpp"

namespace tutti {
namespace {

struct ImportCommand {
  std::string source;
  std::filesystem::path out;
  std::optional<DType> dtype;
  std::string name;
  std::string expect;
  ImportOptions options;
  MessageOptions messages;
  bool json = false;
};

CommandSpec import_spec() {
  return {
      .name = "import",
      .summary = "Make a model file from a Hugging Face folder or a GGUF file",
      .synopsis = "SOURCE -o MODEL.h5 [options]",
      .text =
          "SOURCE is a folder with config.json, *.safetensors and a tokenizer, or a .gguf "
          "file, whose\nquantized tensors are widened. The file appears under its name "
          "when it is complete.\nUnder mpirun rank 0 does the work alone.",
      .groups = {{.title = "Import",
                  .options =
                      {
                          {.name = "output",
                           .short_name = 'o',
                           .value = "MODEL.h5",
                           .help = "The file to write"},
                          {.name = "dtype",
                           .value = "f32|f16|bf16",
                           .help = "Type of the weights (default: the source's, bf16 where it is "
                                   "quantized)"},
                          {.name = "name",
                           .value = "NAME",
                           .help = "Name of the model (default: what the source says)"},
                          expect_option(),
                          {.name = "force", .value = "", .help = "Replace an output that exists"},
                          {.name = "threads",
                           .value = "N",
                           .help = "Threads (default: the CPUs that this process may use)",
                           .may_differ = true},
                          {.name = "json",
                           .value = "",
                           .help = "Report on standard output as one JSON object"},
                      }},
                 message_option_group()},
      .operands = {"SOURCE"},
      .examples = {"tutti import SmolLM2-135M-Instruct.gguf -o smollm2.h5",
                   "tutti import ~/models/Llama-3-8B -o llama.h5 --dtype bf16 --threads 16"}};
}

ImportCommand import_options(const ParsedOptions& parsed) {
  static const std::vector<std::string> kTypes = {"f32", "f16", "bf16"};
  ImportCommand command{.source = parsed.text("SOURCE"),
                        .out = parsed.text("output"),
                        .dtype = {},
                        .name = parsed.given("name") ? parsed.text("name") : std::string(),
                        .expect = expected_fingerprint(parsed),
                        .options = {},
                        .messages = message_options(parsed),
                        .json = parsed.flag("json")};
  if (parsed.given("dtype")) {
    command.dtype = dtype_from_name(parsed.choice("dtype", kTypes));
  }
  command.options.overwrite = parsed.flag("force");
  command.options.threads = parsed.given("threads")
                                ? static_cast<int>(parsed.integer("threads", 1, 4096))
                                : static_cast<int>(allowed_cpus().size());
  return command;
}

std::string report_json(const ImportReport& report, const ImportCommand& command,
                        const ModelIdentity& identity) {
  const nlohmann::json object = {
      {"output", command.out.string()},    {"name", identity.name},
      {"fingerprint", report.fingerprint}, {"dtype", identity.dtype},
      {"parameters", identity.parameters}, {"weight_bytes", report.bytes},
      {"seconds", report.seconds},         {"tutti", version()}};
  return object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

// What is wrong with a source is said with its path.
ImportJob job_of(const TensorSource& source, const ImportCommand& command) {
  try {
    return make_import_job(source, command.source, command.dtype);
  } catch (const ModelFileError& error) {
    throw ModelFileError(fmt::format("{}: {}", command.source, error.what()));
  }
}

void import_one(ImportCommand command) {
  // Before any of the source is read: the answer would come too late else.
  std::error_code unseen;  // what cannot be looked at is for the writer to name
  if (!command.options.overwrite && std::filesystem::exists(command.out, unseen) &&
      !std::filesystem::is_directory(command.out, unseen)) {  // --force would not replace a folder
    throw ConfigError(fmt::format("{} exists: wanted a new file, or --force to replace it",
                                  command.out.string()));
  }
  const std::unique_ptr<TensorSource> source = open_source(command.source);
  ImportJob job = job_of(*source, command);
  job.created_by = "tutti " + version();
  if (!command.name.empty()) {
    job.name = command.name;
  }
  Progress progress(command.messages.progress_style(), "importing", 0);
  const StopSignals signals;  // what is half written goes away with the error
  command.options.on_progress = [&](std::uint64_t done, std::uint64_t total) {
    StopSignals::check();
    progress.set(done, total);
  };
  command.options.accept = [&](const std::string& fingerprint) {
    require_expected(command.source, fingerprint, job.name, command.expect);
  };
  const ImportReport report = import_model(*source, job, command.out, command.options);
  progress.finish();
  const ModelIdentity identity = ModelFile(command.out).identity();
  if (command.json) {
    write_result(report_json(report, command, identity));
    return;
  }
  write_result(fmt::format(
      "{}: {}, {} parameters, {}\nfingerprint {}\n{} of weights in {}, {:.2f} GB/s\n",
      command.out.string(), identity.name, human_count(identity.parameters), identity.dtype,
      report.fingerprint, human_bytes(report.bytes), human_duration(report.seconds),
      report.seconds > 0 ? static_cast<double>(report.bytes) / report.seconds / 1e9 : 0));
}

ExitCode run(const MpiSession& mpi, const ParsedOptions& parsed) {
  const ImportCommand command = import_options(parsed);
  MpiControlPlane control(mpi.world());
  if (mpi.rank() == 0 && mpi.size() > 1 && !command.messages.quiet) {
    write_message(
        fmt::format("tutti: an import is the work of one rank: {} wait for it\n", mpi.size() - 1));
  }
  on_root(control, [&] { import_one(command); });
  return ExitCode::fine;
}

}  // namespace

Command import_command() {
  return {.spec = import_spec(), .run = run};
}

}  // namespace tutti
