// The unigram model (Kudo 2018, "Subword Regularization"): the cut of a text whose tokens' scores
// add up to the most. As the "Unigram" model of tokenizer.json does it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "runtime/text/regex.hpp"
#include "runtime/text/token_model.hpp"

namespace tutti::text {

class UnigramModel : public TokenModel {
 public:
  // `scores` by id. Characters that no token covers become one `unk` a run, or the tokens of their
  // bytes where `byte_fallback` is set and the vocabulary has them all. Errors: ModelFileError
  // where `unk` is out of bounds.
  UnigramModel(Vocabulary vocabulary, std::vector<double> scores, std::optional<TokenId> unk,
               bool byte_fallback, const std::string& where);
  // Errors: ModelFileError where the text needs an unk and there is none.
  void encode(std::string_view piece, std::vector<TokenId>& ids) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  struct Step {  // the best way to a place in the piece
    double score = 0;
    TokenId id = -1;
    std::size_t begin = 0;
    bool reached = false;
  };
  void insert(std::string_view spelling, TokenId id);
  void extend(std::string_view piece, std::size_t begin, std::vector<Step>& steps) const;
  void append(std::string_view spelling, std::vector<TokenId>& ids) const;

  Vocabulary vocabulary_;
  std::vector<double> scores_;
  std::optional<TokenId> unk_;
  double unk_score_ = 0;
  bool byte_fallback_;
  std::string where_;
  // A trie: (node, byte) to node, and a node's token. Node 0 is the root.
  std::unordered_map<std::uint64_t, std::uint32_t> next_;
  std::vector<TokenId> token_{-1};
  std::array<std::optional<TokenId>, 256> byte_ids_;
};

}  // namespace tutti::text
