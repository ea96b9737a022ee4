// The options that every command with a model shares.
#include <array>
#include <limits>

#include "launch/session.hpp"

namespace tutti {

OptionGroup session_option_group() {
  OptionGroup group{
      .title = "Model",
      .options = {
          {.name = "device",
           .value = "WHERE",
           .help = "auto, cuda or host: GPUs where there are any, one for each rank",
           .fallback = "auto"},
          {.name = "gpu-memory-fraction",
           .value = "F",
           .help = "Share of a GPU's memory to fill; the KV cache takes what weights leave",
           .fallback = "0.9"},
          {.name = "no-graphs",
           .value = "",
           .help = "Launch the kernels of a step one by one instead of replaying CUDA graphs"},
          {.name = "random-weights",
           .value = "SEED",
           .help = "MODEL is a shape (llama-2-7b, …, or a JSON file) whose weights are made up; "
                   "text is token ids as numbers"},
          {.name = "dtype",
           .value = "T",
           .help = "Of random weights: f32, f16 or bf16",
           .fallback = "bf16"},
          {.name = "context",
           .value = "N",
           .help = "Most tokens of prompt and answer together (default: the model's context; "
                   "at most 8192 in an interactive chat)"},
          {.name = "threads",
           .value = "N",
           .help = "Threads per rank (default: the CPUs that the rank may use, shared with "
                   "the ranks beside it)",
           .may_differ = true},
          {.name = "expect",
           .value = "FINGERPRINT",
           .help = "Refuse any model whose fingerprint does not begin so (exit code 3)"},
          {.name = "alone",
           .value = "",
           .help = "This process is meant to run a model by itself, though its launcher started "
                   "several"},
          {.name = "no-check",
           .value = "",
           .help = "Do not compare the digests of what is read with those in the file"},
      }};
  const std::vector<OptionSpec> watch = watch_options();
  group.options.insert(group.options.end(), watch.begin(), watch.end());
  return group;
}

DeviceWish device_wish(const ParsedOptions& parsed) {
  const std::array<std::string, 3> known = {"auto", "cuda", "host"};
  const std::string& device = parsed.choice("device", known);
  return device == "auto"   ? DeviceWish::automatic
         : device == "cuda" ? DeviceWish::cuda
                            : DeviceWish::host;
}

SessionOptions session_options(const ParsedOptions& parsed) {
  constexpr std::int64_t kMostTokens = 1 << 30;
  constexpr std::int64_t kMostThreads = 4096;
  const std::array<std::string, 3> kTypes = {"f32", "f16", "bf16"};
  SessionOptions options;
  options.device = device_wish(parsed);
  options.gpu_memory_fraction = parsed.real("gpu-memory-fraction", 0.01, 1);
  options.graphs = !parsed.flag("no-graphs");
  options.dtype = *dtype_from_name(parsed.choice("dtype", kTypes));
  if (parsed.given("random-weights")) {
    options.random_weights = static_cast<std::uint64_t>(
        parsed.integer("random-weights", 0, std::numeric_limits<std::int64_t>::max()));
  } else if (parsed.given("dtype")) {
    throw UsageError(
        "--dtype goes with --random-weights: a model file has its own (see tutti import)");
  }
  options.model = parsed.text("MODEL.h5");
  if (parsed.given("threads")) {
    options.threads = static_cast<int>(parsed.integer("threads", 1, kMostThreads));
  }
  if (parsed.given("context")) {
    options.context = parsed.integer("context", 2, kMostTokens);
  }
  if (parsed.given("expect")) {
    options.expect = parsed.text("expect");
    if (options.expect.empty() ||
        options.expect.find_first_not_of("0123456789abcdef") != std::string::npos) {
      throw UsageError(
          "--expect wants the beginning of a fingerprint in lower-case hex digits, "
          "found '" +
          options.expect + "'");
    }
  }
  options.check = !parsed.flag("no-check");
  options.watch = watch_times(parsed);
  options.messages = message_options(parsed);
  return options;
}

}  // namespace tutti
