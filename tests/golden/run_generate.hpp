// `tutti generate` under mpirun, and what it should say of the cases of an expected.json.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace tutti::test {

inline std::vector<nlohmann::json> cases_of(const std::string& path,
                                            bool (*wanted)(const nlohmann::json&)) {
  const nlohmann::json goldens = nlohmann::json::parse(std::ifstream(path));
  std::vector<nlohmann::json> found;
  for (const nlohmann::json& entry : goldens.at("cases")) {
    if (wanted(entry)) {
      found.push_back(entry);
    }
  }
  EXPECT_GE(found.size(), 4u);  // of each kind
  return found;
}

inline std::string quoted(const std::string& word) {
  std::string out = "'";
  for (const char c : word) {
    out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return out + "'";
}

// Its lines of JSON, on so many ranks; "@RANKS@" in TUTTI_MPIRUN stands for their number.
inline std::vector<nlohmann::json> generate(const std::string& model, int ranks,
                                            const std::string& arguments) {
  std::string command = TUTTI_MPIRUN;
  command.replace(command.find("@RANKS@"), 7, std::to_string(ranks));
  command += fmt::format(" {} generate {} --json --quiet {}", quoted(TUTTI_PROGRAM), quoted(model),
                         arguments);
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) {
    ADD_FAILURE() << "cannot run " << command;
    return {};
  }
  std::string output;
  std::array<char, 4096> buffer{};
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer.data(), n);
  }
  const int status = ::pclose(pipe);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << command;
  std::vector<nlohmann::json> lines;
  for (std::size_t begin = 0, end = 0; (end = output.find('\n', begin)) != std::string::npos;
       begin = end + 1) {
    lines.push_back(nlohmann::json::parse(output.substr(begin, end - begin)));
  }
  return lines;
}

inline std::string prompt_arguments(const std::vector<nlohmann::json>& texts) {
  std::string arguments = "--no-chat";
  for (const nlohmann::json& entry : texts) {
    arguments += " --prompt " + quoted(entry.at("prompt"));
  }
  return arguments;
}

inline void expect_tokens(const std::vector<nlohmann::json>& answers,
                          const std::vector<nlohmann::json>& wanted) {
  using Ids = std::vector<std::int32_t>;
  ASSERT_EQ(answers.size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    SCOPED_TRACE(wanted[i].at("name").get<std::string>());
    EXPECT_EQ(answers[i].at("prompt_ids").get<Ids>(), wanted[i].at("prompt_ids").get<Ids>());
    EXPECT_EQ(answers[i].at("token_ids").get<Ids>(), wanted[i].at("ids").get<Ids>());
  }
}

}  // namespace tutti::test
