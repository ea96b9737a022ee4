// Token ids written as numbers: the text of models that have no vocabulary.
#pragma once

#include "runtime/text/tokenizer.hpp"

namespace tutti {

// "12 7 345" is the ids 12, 7 and 345; nothing ends an answer but its length.
class IdTokenizer final : public Tokenizer {
 public:
  explicit IdTokenizer(std::int64_t vocabulary) : vocabulary_(vocabulary) {}

  // Errors: ConfigError for anything but numbers below the size of the vocabulary and spaces.
  std::vector<TokenId> encode(std::string_view text, SpecialTokens special) const override;
  std::string decode(std::span<const TokenId> ids, bool skip_special) const override;
  std::int64_t vocabulary_size() const override { return vocabulary_; }
  const SpecialIds& special() const override { return special_; }
  bool is_special(TokenId) const override { return false; }
  std::optional<TokenId> id_of(std::string_view) const override { return std::nullopt; }
  std::string token_text(TokenId id) const override { return decode({&id, 1}, false); }
  std::string kind() const override { return "token ids as numbers"; }

 private:
  std::int64_t vocabulary_;
  SpecialIds special_;
};

}  // namespace tutti
