// Streaming text: hands out characters as soon as they are complete, never a broken one.
#pragma once

#include <string>
#include <vector>

#include "runtime/text/tokenizer.hpp"

namespace tutti {

// The pieces handed out by push and finish, joined, equal decode() of all ids that were pushed.
// Bytes that never become a character come out of finish() as U+FFFD.
class Detokenizer {
 public:
  Detokenizer(const Tokenizer& tokenizer, bool skip_special);
  std::string push(TokenId id);  // text that became complete; may be empty
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::vector<TokenId> ids_;
  std::size_t window_ = 0;     // ids before it can no longer change the text
  std::size_t emitted_ = 0;    // bytes of decode(ids_[window_..]) that were handed out
};

}  // namespace tutti
