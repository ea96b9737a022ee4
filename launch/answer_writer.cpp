#include "launch/answer_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tutti {
namespace {

using nlohmann::json;

json logprob_json(TokenId id, float logprob, const AnswerWriter::Spell& spell) {
  return {{"id", id}, {"token", spell(id)}, {"logprob", logprob}};
}

}  // namespace

double Answer::decode_speed() const {
  const double seconds = last_seconds - first_seconds;
  return tokens.size() > 1 && seconds > 0 ? static_cast<double>(tokens.size() - 1) / seconds : 0;
}

AnswerWriter::AnswerWriter(AnswerStyle style, json about, Spell spell, Write write)
    : style_(style), about_(std::move(about)), spell_(std::move(spell)), write_(std::move(write)) {}

void AnswerWriter::expect(std::vector<std::vector<TokenId>> prompts, std::uint64_t first_id) {
  answers_.clear();
  for (std::vector<TokenId>& prompt : prompts) {
    answers_.emplace_back().prompt = std::move(prompt);
  }
  first_id_ = first_id;
  shown_ = 0;
  start_ = Clock::now();
  begin_shown();
}

void AnswerWriter::hear(const TokenEvent& event) {
  const auto index = static_cast<std::size_t>(event.request - first_id_);
  Answer& answer = answers_.at(index);
  const double now = std::chrono::duration<double>(Clock::now() - start_).count();
  if (event.token >= 0) {
    if (answer.tokens.empty()) {
      answer.first_seconds = now;
    }
    answer.last_seconds = now;
    answer.tokens.push_back(event.token);
  }
  answer.text += event.text;
  answer.finish = event.finish;
  if (event.logprob) {
    answer.events.push_back(event);
  }
  if (index == shown_) {
    show(event.text);
  }
  while (shown_ < answers_.size() && answers_[shown_].finish) {
    end_shown();
    ++shown_;
    begin_shown();
  }
}

void AnswerWriter::show(std::string_view text) {
  if (style_ == AnswerStyle::text && !text.empty()) {
    write_(text);
  }
}

void AnswerWriter::begin_shown() {
  if (style_ == AnswerStyle::json || shown_ == answers_.size()) {
    return;
  }
  if (answers_.size() > 1) {
    write_(fmt::format("{}=== answer {} of {} ===\n", shown_ == 0 ? "" : "\n", shown_ + 1,
                       answers_.size()));
  }
  show(answers_[shown_].text);
}

void AnswerWriter::end_shown() {
  if (style_ == AnswerStyle::json) {
    write_(to_json(shown_).dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
  } else if (!answers_[shown_].text.ends_with('\n')) {
    write_("\n");
  }
}

json AnswerWriter::to_json(std::size_t index) const {
  const Answer& answer = answers_[index];
  json object = about_;
  object["index"] = first_id_ + index;
  object["prompt_ids"] = answer.prompt;
  object["token_ids"] = answer.tokens;
  object["text"] = answer.text;
  object["finish_reason"] = name_of(*answer.finish);
  object["usage"] = {{"prompt_tokens", answer.prompt.size()},
                     {"completion_tokens", answer.tokens.size()},
                     {"total_tokens", answer.prompt.size() + answer.tokens.size()}};
  object["timings"] = {{"first_token_seconds", answer.first_seconds},
                       {"total_seconds", answer.last_seconds},
                       {"decode_tokens_per_second", answer.decode_speed()}};
  if (!answer.events.empty()) {
    json list = json::array();
    for (const TokenEvent& event : answer.events) {
      json entry = logprob_json(event.token, *event.logprob, spell_);
      entry["top"] = json::array();
      for (const TokenLogprob& other : event.top) {
        entry["top"].push_back(logprob_json(other.id, other.logprob, spell_));
      }
      list.push_back(std::move(entry));
    }
    object["logprobs"] = std::move(list);
  }
  return object;
}

std::string summary_of(const std::vector<Answer>& answers) {
  std::size_t prompt = 0;
  std::size_t tokens = 0;
  double first = 0;
  double last = 0;
  for (const Answer& answer : answers) {
    prompt += answer.prompt.size();
    tokens += answer.tokens.size();
    first = first == 0 ? answer.first_seconds : std::min(first, answer.first_seconds);
    last = std::max(last, answer.last_seconds);
  }
  const double speed = answers.size() == 1 ? answers[0].decode_speed()
                       : last > 0          ? static_cast<double>(tokens) / last
                                           : 0;
  return fmt::format(
      "prompt {} tokens, first token after {:.2f}s; {} {} tokens, {:.1f} tok/s\n", prompt, first,
      answers.size() == 1 ? "answer" : fmt::format("{} answers", answers.size()), tokens, speed);
}

}  // namespace tutti
