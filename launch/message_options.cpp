#include "launch/message_options.hpp"

#include <unistd.h>

#include <vector>

namespace tutti {

ProgressStyle MessageOptions::progress_style() const {
  return tutti::progress_style(progress, person_looks_on(look_at_stream(STDERR_FILENO)), quiet);
}

OptionGroup message_option_group() {
  return {.title = "Messages on standard error",
          .options = {
              {.name = "quiet", .short_name = 'q', .value = "", .help = "Only warnings and errors"},
              {.name = "progress",
               .value = "auto|bar|lines|none",
               .help = "How long work is shown; auto: a bar for a person, lines in a log",
               .fallback = "auto"},
          }};
}

MessageOptions message_options(const ParsedOptions& parsed) {
  static const std::vector<std::string> kStyles = {"auto", "bar", "lines", "none"};
  return {.quiet = parsed.flag("quiet"), .progress = parsed.choice("progress", kStyles)};
}

}  // namespace tutti
