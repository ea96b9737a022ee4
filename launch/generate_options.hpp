// What `tutti generate` was asked to do.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launch/options.hpp"
#include "launch/session.hpp"
#include "runtime/engine/request.hpp"

namespace tutti {

enum class ChatMode { automatic, on, off };

struct GenerateOptions {
  SessionOptions session;
  SamplingOptions sampling;  // stop strings unescaped
  std::vector<std::string> prompts;
  std::vector<std::string> prompt_files;
  bool interactive = false;  // asked for; a terminal at standard input asks for it too
  ChatMode chat = ChatMode::automatic;
  std::string chat_format;  // empty: recognise the stored template
  std::string system;
  bool json = false;
};

CommandSpec generate_spec();
GenerateOptions generate_options(const ParsedOptions& parsed);

}  // namespace tutti
