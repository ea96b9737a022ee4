// One line of a batch: from JSON, in OpenAI's batch form or plain, or from raw text, to what is
// asked of the engine (docs/batch.md is the contract).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/error.hpp"
#include "runtime/engine/request.hpp"
#include "runtime/text/chat_format.hpp"

namespace tutti {

enum class BatchApi : std::uint8_t { completion, chat };

struct BatchRequest {
  std::string custom_id;
  std::uint64_t line = 0;  // of the input, from 1
  BatchApi api = BatchApi::completion;
  std::vector<ChatMessage> messages;  // of a chat
  std::string tools;                  // that it may call, a JSON list; empty: none
  std::string prompt;                 // of a completion; or
  std::vector<TokenId> prompt_ids;    // the same as ids
  bool as_ids = false;
  SamplingOptions sampling;
  int samples = 1;  // answers to this prompt, "n"
};

// Why a line is not answered: a word for programs and a sentence for people.
struct RequestRefusal {
  std::string code;
  std::string message;
};

struct RequestRefused : ConfigError {
  RequestRefused(std::string code_in, const std::string& message)
      : ConfigError(message), code(std::move(code_in)) {}
  std::string code;
};

// What the command line says about all lines.
struct BatchDefaults {
  SamplingOptions sampling;
  std::string system;     // put before conversations that bring no system's words
  bool raw_text = false;  // lines are prompts, not JSON
  bool raw_chat = false;  // … and what a user says in a chat
};

struct ParsedLine {
  BatchRequest request;  // custom_id and line hold for a refused line too
  std::optional<RequestRefusal> refusal;
};

// `text` is line `number` without its end. A line without an id is called "line-NUMBER". Never
// throws for what the line holds: it is parsed or refused.
ParsedLine parse_batch_line(std::string_view text, std::uint64_t number,
                            const BatchDefaults& defaults);

// Of everything that an answer depends on besides the model: prompt, rules of sampling and
// `circumstances` (context, chat format).
std::uint64_t hash_of(const BatchRequest& request, std::string_view circumstances);
// Of an error: the same line refused for the same reason.
std::uint64_t hash_of(const RequestRefusal& refusal, std::string_view line);
// Names an id in tables; and sample `index` of it among random draws.
std::uint64_t hash_of_id(std::string_view custom_id);
std::uint64_t draw_stream(std::string_view custom_id, int index);

}  // namespace tutti
