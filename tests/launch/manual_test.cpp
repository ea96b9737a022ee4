// The man page and the completion are written by hand; here they are held to the program.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

#include "launch/commands.hpp"

namespace tutti {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string manual() {
  return std::regex_replace(read_file("launch/man/tutti.1"), std::regex(R"(\\-)"), "-");
}

std::set<std::string> option_words(const std::string& text) {
  const std::regex option("--[a-z][a-z-]*");
  return {std::sregex_token_iterator(text.begin(), text.end(), option),
          std::sregex_token_iterator()};
}

std::set<std::string> known_options() {
  std::set<std::string> known = {"--version", "--help", "--bind-to", "--map-by"};
  for (const Command& command : all_commands()) {
    for (const OptionSpec& option : command.spec.options()) {
      known.insert("--" + option.name);
    }
  }
  return known;
}

TEST(Manual, NamesEveryCommandAndOption) {
  const std::string text = manual();
  const std::set<std::string> named = option_words(text);
  for (const Command& command : all_commands()) {
    EXPECT_NE(text.find(".B " + command.spec.name), std::string::npos) << command.spec.name;
    for (const OptionSpec& option : command.spec.options()) {
      EXPECT_TRUE(named.contains("--" + option.name)) << option.name;
    }
  }
}

TEST(Manual, NamesNoOptionThatIsNotThere) {
  const std::set<std::string> known = known_options();
  for (const std::string& option : option_words(manual())) {
    EXPECT_TRUE(known.contains(option)) << option;
  }
}

TEST(Completion, OffersEveryCommandAndOptionAndNoOther) {
  const std::string text = read_file("launch/completion/tutti");
  const std::set<std::string> offered = option_words(text);
  for (const Command& command : all_commands()) {
    EXPECT_NE(text.find(command.spec.name), std::string::npos) << command.spec.name;
    for (const OptionSpec& option : command.spec.options()) {
      EXPECT_TRUE(offered.contains("--" + option.name)) << option.name;
    }
  }
  const std::set<std::string> known = known_options();
  for (const std::string& option : offered) {
    EXPECT_TRUE(known.contains(option)) << option;
  }
}

TEST(Commands, HaveHelpWithExamplesOfThemselves) {
  for (const Command& command : all_commands()) {
    ASSERT_FALSE(command.spec.examples.empty()) << command.spec.name;
    for (const std::string& example : command.spec.examples) {
      EXPECT_NE(example.find("tutti " + command.spec.name), std::string::npos) << example;
    }
    EXPECT_FALSE(help_of(command.spec).empty());
  }
}

}  // namespace
}  // namespace tutti
