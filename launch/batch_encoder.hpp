// From the words of a request to the ids that the model gets, or why it cannot be answered.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launch/batch_request.hpp"
#include "runtime/text/chat_format.hpp"

namespace tutti {

// Immutable; safe to use from several threads.
class BatchEncoder {
 public:
  struct Limits {
    std::int64_t context = 0;  // tokens of prompt and answer
    std::int64_t vocabulary = 0;
  };
  // Borrows the tokenizer. Without a format, `why_no_format` is what chats are refused with.
  BatchEncoder(const Tokenizer& tokenizer, std::optional<ChatFormat> format,
               std::string why_no_format, const Limits& limits);

  // Everything besides a request itself that its answer depends on.
  std::string circumstances() const;
  // The prompt's ids. Adds the ids that end a turn to the request's rules and cuts max_tokens to
  // the room that is left. Errors: RequestRefused.
  std::vector<TokenId> encode(BatchRequest& request) const;

 private:
  std::vector<TokenId> ids_of(const BatchRequest& request) const;
  void require_known(const std::string& name, TokenId id) const;

  const Tokenizer& tokenizer_;
  std::optional<ChatFormat> format_;
  std::string why_no_format_;
  Limits limits_;
};

}  // namespace tutti
