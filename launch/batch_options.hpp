// What `tutti batch` was asked to do.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "launch/batch_output.hpp"
#include "launch/batch_source.hpp"
#include "launch/options.hpp"
#include "launch/session.hpp"
#include "runtime/engine/request.hpp"

namespace tutti {

struct BatchOptions {
  SessionOptions session;
  SamplingOptions sampling;  // of lines that do not say otherwise
  std::string input;
  std::string output;
  BatchShard shard;
  bool text = false;
  bool chat = false;        // lines of text are what a user says
  std::string chat_format;  // empty: recognise the stored template
  std::string system;
  ExistingOutput existing = ExistingOutput::resume;
  std::chrono::milliseconds flush{5000};
  std::optional<std::chrono::seconds> time_limit;
  std::chrono::milliseconds grace{20000};
  std::optional<int> tensor_ranks;  // of one replica; all where it is not said
  bool prefix_cache = true;
  std::optional<int> max_running;  // requests at the same time
  std::optional<std::int64_t> kv_tokens;
  std::chrono::seconds between_lines{30};
  std::string report;   // empty: none
  std::string metrics;  // empty: none
};

// "3/8". Errors: UsageError.
BatchShard parse_shard(const std::string& text);

CommandSpec batch_spec();
BatchOptions batch_options(const ParsedOptions& parsed);

}  // namespace tutti
