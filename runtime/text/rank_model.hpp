// Byte-pair encoding by ranks, as tiktoken does it: two neighbours join where the vocabulary has
// what they are together, the lowest id first. No list of merges.
#pragma once

#include <string_view>
#include <vector>

#include "runtime/text/token_model.hpp"

namespace tutti::text {

class RankModel : public TokenModel {
 public:
  // Spellings in the byte-level alphabet, ids in the order of their ranks.
  explicit RankModel(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  void encode(std::string_view piece, std::vector<TokenId>& ids) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  Vocabulary vocabulary_;
};

}  // namespace tutti::text
