// Answers on standard output, in the order of the prompts, while the engine works on several.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/engine/request.hpp"

namespace tutti {

// One answer with the times at which it came, in seconds since it was asked for.
struct Answer {
  std::vector<TokenId> prompt;
  std::vector<TokenId> tokens;
  std::string text;
  std::vector<TokenEvent> events;  // kept where log probabilities are wanted
  std::optional<FinishReason> finish;
  double first_seconds = 0;
  double last_seconds = 0;

  // Tokens per second after the first one; 0 where there is only one.
  double decode_speed() const;
};

enum class AnswerStyle { text, json };

class AnswerWriter {
 public:
  using Write = std::function<void(std::string_view)>;
  using Spell = std::function<std::string(TokenId)>;
  using Clock = std::chrono::steady_clock;

  // `about` holds what every JSON object says besides the answer (model, ranks, …).
  AnswerWriter(AnswerStyle style, nlohmann::json about, Spell spell, Write write);

  // The prompts to come, ids 0, 1, … in order from `first_id` on. Starts their clocks.
  void expect(std::vector<std::vector<TokenId>> prompts, std::uint64_t first_id);
  void hear(const TokenEvent& event);

  const std::vector<Answer>& answers() const { return answers_; }

 private:
  void show(std::string_view text);
  void begin_shown();
  void end_shown();
  nlohmann::json to_json(std::size_t index) const;

  AnswerStyle style_;
  nlohmann::json about_;
  Spell spell_;
  Write write_;
  std::vector<Answer> answers_;
  std::uint64_t first_id_ = 0;
  std::size_t shown_ = 0;  // the answer whose text is on its way out
  Clock::time_point start_;
};

// "prompt 12 tokens, first token after 0.05s; answer 64 tokens, 53.1 tok/s" for standard error.
std::string summary_of(const std::vector<Answer>& answers);

}  // namespace tutti
