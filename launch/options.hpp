// What a command takes, as data, and what a command line gave it: a thin layer over
// Boost.Program_options, which is at home in options.cpp.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/error.hpp"

namespace tutti {

// The command line is wrong. Every rank gets the same one, so every rank finds the same: `main` has
// only one of them say so, and nobody needs to be aborted.
struct UsageError : ConfigError {
  using ConfigError::ConfigError;
};

struct OptionSpec {
  std::string name;     // without "--"
  char short_name = 0;  // 0: none
  std::string value;    // how help calls the value, "N"; empty: a flag without one
  std::string help;
  std::optional<std::string> fallback = {};
  bool repeatable = false;
  bool may_differ = false;  // between the ranks of one run
};

struct OptionGroup {
  std::string title;
  std::vector<OptionSpec> options;
};

struct CommandSpec {
  std::string name;      // "generate"
  std::string summary;   // one line for `tutti --help`
  std::string synopsis;  // "MODEL.h5 [options]"
  std::string text;      // a paragraph or two
  std::vector<OptionGroup> groups;
  std::vector<std::string> operands;  // names of what stands without an option
  std::size_t optional_operands = 0;  // the last so many may be missing; the others are wanted
  std::vector<std::string> examples;  // "command  # why"

  std::vector<OptionSpec> options() const;  // of all groups, --help included
};

// What one command line gave. Asking for an option that the command does not have is a bug and
// throws std::logic_error. Values out of range are UsageErrors that name option, wanted and found.
class ParsedOptions {
 public:
  bool help() const { return flag("help"); }
  bool flag(const std::string& name) const;
  bool given(const std::string& name) const;  // by the user, not by its fallback
  // Last value of the option or operand; an error where there is none.
  const std::string& text(const std::string& name) const;
  std::vector<std::string> texts(const std::string& name) const;
  std::int64_t integer(const std::string& name, std::int64_t least, std::int64_t most) const;
  double real(const std::string& name, double least, double most) const;
  // One of the words in `known`.
  const std::string& choice(const std::string& name, std::span<const std::string> known) const;

  // What every rank has to be given alike, "generate --json --prompt=Hi": without the options that
  // are each rank's own affair and without the last operand, a file that may lie elsewhere.
  std::string common_text() const;

 private:
  friend ParsedOptions parse_options(const CommandSpec&, const std::vector<std::string>&);
  struct Entry {
    std::vector<std::string> values;
    bool is_flag = false;
    bool given = false;
    bool may_differ = false;  // between ranks
  };
  const Entry& entry(const std::string& name) const;

  std::string command_;
  std::map<std::string, Entry> entries_;
};

// Arguments after the command's name. With --help among them nothing else is checked.
// Errors: UsageError; an unknown option suggests the nearest.
ParsedOptions parse_options(const CommandSpec& command, const std::vector<std::string>& arguments);

// The text of `tutti COMMAND --help`.
std::string help_of(const CommandSpec& command);

}  // namespace tutti
