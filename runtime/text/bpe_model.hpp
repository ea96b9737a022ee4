// Byte-pair encoding by a list of merges: the model "BPE" of tokenizer.json and of GGUF's "gpt2".
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/text/merge_symbols.hpp"
#include "runtime/text/token_model.hpp"

namespace tutti::text {

struct BpeOptions {
  std::optional<std::string> unk;
  bool fuse_unk = false;       // neighbours that are unknown become one unk
  bool byte_fallback = false;  // a character that is unknown becomes its bytes' tokens <0x..>
  bool ignore_merges = false;  // a piece that is in the vocabulary is taken whole
  std::string subword_prefix;  // of every symbol but the first of a piece
  std::string word_suffix;     // of the last symbol of a piece
};

using Merges = std::vector<std::pair<std::string, std::string>>;

class BpeModel : public TokenModel {
 public:
  // Errors: ModelFileError where a merge or the unk is not in the vocabulary.
  BpeModel(Vocabulary vocabulary, const Merges& merges, BpeOptions options,
           const std::string& where);
  void encode(std::string_view piece, std::vector<TokenId>& ids) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  struct Merge {
    std::uint64_t pair;  // left id and right id; kNoPair marks a free slot
    std::uint32_t rank;
    TokenId id;
  };
  void insert(const Merge& merge);
  const Merge* find(TokenId left, TokenId right) const;
  std::vector<Symbol> symbols_of(std::string_view piece) const;

  Vocabulary vocabulary_;
  BpeOptions options_;
  std::optional<TokenId> unk_;
  std::array<std::optional<TokenId>, 256> byte_ids_;
  std::vector<Merge> table_;  // open addressing, a power of two in size
};

}  // namespace tutti::text
