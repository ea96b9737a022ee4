#include "runtime/engine/answer_text.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace tutti {
namespace {

// Length of the longest end of `text` that is a proper beginning of `stop`.
std::size_t partial_match(std::string_view text, std::string_view stop) {
  for (std::size_t n = std::min(text.size(), stop.size() - 1); n > 0; --n) {
    if (text.ends_with(stop.substr(0, n))) {
      return n;
    }
  }
  return 0;
}

}  // namespace

AnswerText::AnswerText(const Tokenizer& tokenizer, std::vector<std::string> stop)
    : detokenizer_(tokenizer, true), stop_(std::move(stop)) {
  std::erase(stop_, "");
}

std::string AnswerText::push(TokenId id) {
  return stopped_ ? std::string() : settle(detokenizer_.push(id), false);
}

std::string AnswerText::finish() {
  return stopped_ ? std::string() : settle(detokenizer_.finish(), true);
}

std::string AnswerText::settle(const std::string& more, bool last) {
  withheld_ += more;
  std::size_t found = std::string::npos;
  std::size_t waiting = 0;
  for (const std::string& stop : stop_) {
    found = std::min(found, withheld_.find(stop));
    waiting = std::max(waiting, partial_match(withheld_, stop));
  }
  stopped_ = found != std::string::npos;
  const std::size_t certain = stopped_ ? found : withheld_.size() - (last ? 0 : waiting);
  std::string text = withheld_.substr(0, certain);
  withheld_.erase(0, certain);
  return text;
}

}  // namespace tutti
