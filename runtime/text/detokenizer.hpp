// Streaming text: hands out characters as soon as they are complete, never a broken one.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runtime/text/tokenizer.hpp"

namespace tutti {

// The pieces handed out by push and finish, joined, equal decode() of all ids that were pushed.
// Bytes that never become a character come out as U+FFFD, at the latest of finish(). A run of byte
// tokens (<0xE4>) comes out with the token after it. Costs O(1) decodes of a few ids for each id.
class Detokenizer {
 public:
  Detokenizer(const Tokenizer& tokenizer, bool skip_special);
  std::string push(TokenId id);  // text that became complete; may be empty
  std::string finish();          // what is left; the object can then begin a new text

 private:
  std::string window_text(std::size_t begin) const;
  void restart_at_last();
  void shorten_garbage(const std::string& all);
  void forget_before(std::size_t index);

  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::vector<TokenId> ids_;
  std::size_t window_ = 0;   // ids before it can no longer change the text
  std::size_t emitted_ = 0;  // bytes of decode(ids_[window_..]) that were handed out
};

}  // namespace tutti
