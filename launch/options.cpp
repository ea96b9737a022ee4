#include "launch/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <charconv>
#include <sstream>
#include <stdexcept>

#include "launch/suggest.hpp"

namespace po = boost::program_options;

namespace tutti {
namespace {

constexpr int kHelpWidth = 100;
constexpr int kHelpColumn = 60;

std::string boost_name(const OptionSpec& option) {
  return option.short_name == 0 ? option.name
                                : fmt::format("{},{}", option.name, option.short_name);
}

// Values stay text for Boost: what is wrong with one is said in one place, in our words.
void add(po::options_description& description, const OptionSpec& option) {
  if (option.value.empty()) {
    description.add_options()(boost_name(option).c_str(), po::bool_switch(), option.help.c_str());
    return;
  }
  auto* value = po::value<std::vector<std::string>>()->value_name(option.value);
  if (option.fallback) {
    value->default_value({*option.fallback}, *option.fallback);
  }
  description.add_options()(boost_name(option).c_str(), value, option.help.c_str());
}

const OptionSpec* option_named(const std::vector<OptionSpec>& options, const std::string& token) {
  for (const OptionSpec& option : options) {
    if (token == "--" + option.name ||
        (option.short_name != 0 && token == std::string{'-', option.short_name})) {
      return &option;
    }
  }
  return nullptr;
}

// Boost refuses "--name=" with nothing behind it, which is how an empty text is written.
std::vector<std::string> split_empty_values(const CommandSpec& command,
                                            const std::vector<std::string>& arguments) {
  const std::vector<OptionSpec> options = command.options();
  std::vector<std::string> split;
  bool operands_only = false;
  for (const std::string& argument : arguments) {
    operands_only = operands_only || argument == "--";
    const std::string name = argument.substr(0, argument.size() - (argument.empty() ? 0 : 1));
    const OptionSpec* option =
        !operands_only && argument.ends_with('=') ? option_named(options, name) : nullptr;
    if (option != nullptr && !option->value.empty()) {
      split.push_back(name);
      split.emplace_back();
    } else {
      split.push_back(argument);
    }
  }
  return split;
}

// Boost would take the next option for the value that was forgotten.
void refuse_missing_values(const CommandSpec& command, const std::vector<std::string>& arguments) {
  const std::vector<OptionSpec> options = command.options();
  for (std::size_t i = 0; i < arguments.size() && arguments[i] != "--"; ++i) {
    const OptionSpec* option = option_named(options, arguments[i]);
    if (option == nullptr || option->value.empty()) {
      continue;
    }
    const bool last = i + 1 == arguments.size();
    if (last ||
        option_named(options, arguments[i + 1].substr(0, arguments[i + 1].find('='))) != nullptr) {
      throw UsageError(fmt::format(
          "--{} wants a value, {}, and got {}", option->name, option->value,
          last ? std::string("none") : fmt::format("the option {} instead", arguments[i + 1])));
    }
    ++i;
  }
}

[[noreturn]] void refuse_unknown(const CommandSpec& command, const std::string& token) {
  std::vector<std::string> known;
  for (const OptionSpec& option : command.options()) {
    known.push_back("--" + option.name);
  }
  const std::string written = token.substr(0, token.find('='));
  const std::string meant = nearest(written, known);
  throw UsageError(
      fmt::format("'{}' is no option of 'tutti {}'{}: see 'tutti {} --help'", written, command.name,
                  meant.empty() ? "" : fmt::format(", did you mean '{}'?", meant), command.name));
}

po::variables_map run_boost(const CommandSpec& command, const std::vector<std::string>& arguments) {
  po::options_description description;
  for (const OptionSpec& option : command.options()) {
    add(description, option);
  }
  description.add_options()("operands", po::value<std::vector<std::string>>());
  po::positional_options_description operands;
  operands.add("operands", -1);
  namespace style = po::command_line_style;
  po::variables_map values;
  try {
    po::store(po::command_line_parser(arguments)
                  .options(description)
                  .positional(operands)
                  .style(style::unix_style & ~style::allow_guessing)
                  .run(),
              values);
  } catch (const po::unknown_option& error) {
    refuse_unknown(command, error.get_option_name());
  } catch (const po::error& error) {
    throw UsageError(fmt::format("{}: see 'tutti {} --help'", error.what(), command.name));
  }
  return values;
}

template <typename Number>
bool parse_number(const std::string& text, Number& number) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, number);
  return result.ec == std::errc() && result.ptr == end;
}

}  // namespace

std::vector<OptionSpec> CommandSpec::options() const {
  std::vector<OptionSpec> all;
  for (const OptionGroup& group : groups) {
    all.insert(all.end(), group.options.begin(), group.options.end());
  }
  all.push_back({.name = "help", .short_name = 'h', .value = "", .help = "Show this text"});
  return all;
}

ParsedOptions parse_options(const CommandSpec& command, const std::vector<std::string>& arguments) {
  const auto before_operands = std::find(arguments.begin(), arguments.end(), "--");
  const auto asks_help = [](const std::string& a) { return a == "--help" || a == "-h"; };
  ParsedOptions parsed;
  parsed.command_ = command.name;
  if (std::any_of(arguments.begin(), before_operands, asks_help)) {
    parsed.entries_["help"] = {.values = {}, .is_flag = true, .given = true};
    return parsed;
  }
  refuse_missing_values(command, arguments);
  const po::variables_map values = run_boost(command, split_empty_values(command, arguments));
  for (const OptionSpec& option : command.options()) {
    ParsedOptions::Entry& entry = parsed.entries_[option.name];
    entry.is_flag = option.value.empty();
    entry.may_differ = option.may_differ;
    if (entry.is_flag) {
      entry.given = values[option.name].as<bool>();
    } else if (values.count(option.name) != 0) {
      entry.values = values[option.name].as<std::vector<std::string>>();
      entry.given = !values[option.name].defaulted();
      if (entry.values.size() > 1 && !option.repeatable) {
        throw UsageError(
            fmt::format("--{} is given {} times, once is meant", option.name, entry.values.size()));
      }
    }
  }
  std::vector<std::string> found;
  if (values.count("operands") != 0) {
    found = values["operands"].as<std::vector<std::string>>();
  }
  if (found.size() + command.optional_operands < command.operands.size()) {
    throw UsageError(fmt::format("'tutti {}' wants {}: tutti {} {}", command.name,
                                 command.operands[found.size()], command.name, command.synopsis));
  }
  if (found.size() > command.operands.size()) {
    throw UsageError(fmt::format("'tutti {}' does not know what to do with '{}': tutti {} {}",
                                 command.name, found[command.operands.size()], command.name,
                                 command.synopsis));
  }
  for (std::size_t i = 0; i < command.operands.size(); ++i) {
    ParsedOptions::Entry& entry = parsed.entries_[command.operands[i]];
    if (i < found.size()) {
      entry = {.values = {found[i]}, .is_flag = false, .given = true};
    }
    entry.may_differ = i + 1 == command.operands.size();
  }
  return parsed;
}

const ParsedOptions::Entry& ParsedOptions::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    throw std::logic_error(fmt::format("'tutti {}' has no option '{}'", command_, name));
  }
  return found->second;
}

bool ParsedOptions::flag(const std::string& name) const {
  return entry(name).given;
}

bool ParsedOptions::given(const std::string& name) const {
  return entry(name).given;
}

std::string ParsedOptions::common_text() const {
  std::string text = command_;
  for (const auto& [name, entry] : entries_) {
    if (!entry.given || entry.may_differ) {
      continue;
    }
    if (entry.is_flag) {
      text += fmt::format(" --{}", name);
    }
    for (const std::string& value : entry.values) {
      text += fmt::format(" --{}={}", name, value);
    }
  }
  return text;
}

std::vector<std::string> ParsedOptions::texts(const std::string& name) const {
  return entry(name).values;
}

const std::string& ParsedOptions::text(const std::string& name) const {
  const Entry& found = entry(name);
  if (found.values.empty()) {
    throw UsageError(fmt::format("'tutti {}' wants --{}", command_, name));
  }
  return found.values.back();
}

std::int64_t ParsedOptions::integer(const std::string& name, std::int64_t least,
                                    std::int64_t most) const {
  const std::string& written = text(name);
  std::int64_t number = 0;
  if (!parse_number(written, number) || number < least || number > most) {
    throw UsageError(fmt::format("--{} wants a whole number from {} to {}, found '{}'", name, least,
                                 most, written));
  }
  return number;
}

double ParsedOptions::real(const std::string& name, double least, double most) const {
  const std::string& written = text(name);
  double number = 0;
  if (!parse_number(written, number) || !(number >= least && number <= most)) {
    throw UsageError(
        fmt::format("--{} wants a number from {} to {}, found '{}'", name, least, most, written));
  }
  return number;
}

const std::string& ParsedOptions::choice(const std::string& name,
                                         std::span<const std::string> known) const {
  const std::string& written = text(name);
  if (std::find(known.begin(), known.end(), written) == known.end()) {
    const std::string meant = nearest(written, known);
    throw UsageError(fmt::format("--{} wants one of {}, found '{}'{}", name, fmt::join(known, ", "),
                                 written,
                                 meant.empty() ? "" : fmt::format(", did you mean '{}'?", meant)));
  }
  return written;
}

std::string help_of(const CommandSpec& command) {
  std::ostringstream out;
  out << fmt::format("tutti {}: {}\n\nUsage: tutti {} {}\n\n{}\n", command.name, command.summary,
                     command.name, command.synopsis, command.text);
  std::vector<OptionGroup> groups = command.groups;
  groups.push_back({.title = "Help", .options = {command.options().back()}});
  for (const OptionGroup& group : groups) {
    po::options_description description(group.title, kHelpWidth, kHelpColumn);
    for (const OptionSpec& option : group.options) {
      add(description, option);
    }
    out << '\n' << description;
  }
  out << "\nExamples:\n";
  for (const std::string& example : command.examples) {
    out << "  " << example << '\n';
  }
  return out.str();
}

}  // namespace tutti
