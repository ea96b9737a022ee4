// Tokens that are matched in the text itself, before the vocabulary's merges see it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/text/json_access.hpp"
#include "runtime/text/normalizer.hpp"
#include "runtime/text/regex.hpp"
#include "runtime/text/tokenizer.hpp"

namespace tutti::text {

struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool special = false;      // a control token: text of a user never becomes it
  bool normalized = false;   // matched in the normalised text, by its normalised content
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
  bool single_word = false;  // only where no word character touches it

  // {"content": …, "special": …, …}; the id is given. Errors: ModelFileError.
  static AddedToken from_json(const Json& json, TokenId id, const std::string& where);
};

// A stretch of text: an added token's, or plain text.
struct Section {
  Span span;
  std::optional<TokenId> id;
};

class AddedTokens {
 public:
  // `normalizer` (may be null) is only used here, for the contents of normalised tokens.
  AddedTokens(std::vector<AddedToken> tokens, const Normalizer* normalizer);

  // Leftmost, then longest; no section is empty. With SpecialTokens::as_text a match of a special
  // token stays plain text.
  std::vector<Section> split_raw(std::string_view text, SpecialTokens special) const;
  // The same for the tokens that are matched after normalisation.
  std::vector<Section> split_normalized(std::string_view text, SpecialTokens special) const;

  const AddedToken* find(TokenId id) const;
  const AddedToken* find(std::string_view content) const;
  const std::vector<AddedToken>& all() const { return tokens_; }

 private:
  struct Entry {
    std::string text;   // what is matched
    std::size_t token;  // index into tokens_
  };
  // The longest entry that `text` has at `begin`; null where there is none.
  static const Entry* longest_at(const std::vector<Entry>& sorted, std::string_view text,
                                 std::size_t begin);
  std::vector<Section> split(const std::vector<Entry>& sorted, std::string_view text,
                             SpecialTokens special) const;

  std::vector<AddedToken> tokens_;
  std::vector<Entry> raw_, normalized_;  // sorted by text
  std::unordered_map<TokenId, std::size_t> by_id_;
  std::unordered_map<std::string, std::size_t> by_content_;
};

}  // namespace tutti::text
