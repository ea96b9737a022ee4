// What the desk of a batch and the replicas of its model tell each other: requests there, outcomes
// back; and the letters that carry it between processes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launch/batch_record.hpp"
#include "launch/batch_source.hpp"
#include "runtime/engine/counters.hpp"

namespace tutti {

enum class DeskWord : std::uint8_t {
  drain,   // begin nothing more, give up what has not begun
  cancel,  // give up what has begun too
  leave    // the last word
};

// From the desk: a request to answer, or a word. Prompts travel as ids, without their text.
struct DeskLetter {
  std::optional<BatchItem> item;
  std::optional<DeskWord> word;
};

// How one request ended.
struct BatchOutcome {
  enum class Kind : std::uint8_t { answered, refused, cancelled };
  Kind kind = Kind::answered;
  RecordMark mark;     // without custom_id
  std::string record;  // the output's line; empty where it was cancelled
  bool again = false;  // an earlier run answered another version of it
  std::uint64_t samples = 1;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t output_tokens = 0;
  double seconds = 0;              // from its submission to its record
  double first_token_seconds = 0;  // … to its first token
};

// How a replica stands.
struct ReplicaState {
  std::uint64_t asked = 0;    // samples that it has room for, those counted that it has got so far
  std::uint64_t begun = 0;    // requests whose first token has come and whose last has not
  std::uint64_t waiting = 0;  // samples that hold no pages
  std::uint64_t running = 0;
  double busy_seconds = 0;  // within the engine's steps
  EngineCounters engine;
};

// From a replica: what has come since its last news.
struct ReplicaNews {
  ReplicaState state;
  std::vector<BatchOutcome> outcomes;
  std::optional<int> signal;  // came to one of its ranks
  std::string failure;        // why it works no more; empty: it does
  bool gone = false;          // the last news
};

// Both ends run the same program on machines of one kind. Errors of reading: Error.
std::string text_of(const DeskLetter& letter);
DeskLetter desk_letter(const std::string& text);
std::string text_of(const ReplicaNews& news);
ReplicaNews replica_news(const std::string& text);

}  // namespace tutti
