// The options that every command with a model shares.
#include "launch/session.hpp"

namespace tutti {

OptionGroup session_option_group() {
  return {.title = "Model",
          .options = {
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
              {.name = "no-check",
               .value = "",
               .help = "Do not compare the digests of what is read with those in the file"},
          }};
}

SessionOptions session_options(const ParsedOptions& parsed) {
  constexpr std::int64_t kMostTokens = 1 << 30;
  constexpr std::int64_t kMostThreads = 4096;
  SessionOptions options;
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
  options.messages = message_options(parsed);
  return options;
}

}  // namespace tutti
