// What turns one piece into ids: the vocabulary and the rule by which symbols are joined.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/text/tokenizer.hpp"

namespace tutti::text {

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};
using StringIds = std::unordered_map<std::string, TokenId, StringHash, std::equal_to<>>;

// Spellings and ids, both ways. Ids may have holes; a hole's spelling is empty.
class Vocabulary {
 public:
  // Errors: ModelFileError where an id is out of bounds.
  void add(std::string spelling, TokenId id, const std::string& where);
  std::optional<TokenId> find(std::string_view spelling) const;
  bool contains(TokenId id) const;
  const std::string& spelling(TokenId id) const { return *spelling_[static_cast<std::size_t>(id)]; }
  TokenId end_id() const { return static_cast<TokenId>(spelling_.size()); }  // largest id + 1

 private:
  StringIds ids_;
  std::vector<const std::string*> spelling_;  // the keys of ids_, which never move
};

class TokenModel {
 public:
  virtual ~TokenModel() = default;
  // Appends the ids of one non-empty piece of valid UTF-8.
  virtual void encode(std::string_view piece, std::vector<TokenId>& ids) const = 0;
  virtual const Vocabulary& vocabulary() const = 0;
};

}  // namespace tutti::text
