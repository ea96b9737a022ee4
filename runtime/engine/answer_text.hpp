// The text of one answer as it grows: whole characters only, stop strings withheld.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runtime/text/detokenizer.hpp"

namespace tutti {

// Text that might be the beginning of a stop string waits until that is settled.
class AnswerText {
 public:
  AnswerText(const Tokenizer& tokenizer, std::vector<std::string> stop);

  // Text that became certain with this token; empty once stopped.
  std::string push(TokenId id);
  // What was still withheld; nothing after a stop string.
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  std::string settle(const std::string& more, bool last);

  Detokenizer detokenizer_;
  std::vector<std::string> stop_;
  std::string withheld_;
  bool stopped_ = false;
};

}  // namespace tutti
