// Byte-pair encoding by scores, as SentencePiece does it: two neighbours join when the vocabulary
// has what they spell together, the best score first. The model "llama" of GGUF.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "runtime/text/token_model.hpp"

namespace tutti::text {

class ScoreModel : public TokenModel {
 public:
  // `joinable` holds the pieces that text can become, which leaves out control, unknown and byte
  // tokens; `scores` is indexed by id; `unk` stands for a character without byte tokens.
  ScoreModel(Vocabulary vocabulary, StringIds joinable, std::vector<float> scores,
             std::optional<TokenId> unk);
  void encode(std::string_view piece, std::vector<TokenId>& ids) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  std::optional<TokenId> joinable(std::string_view spelling) const;
  void append_fallback(std::string_view spelling, std::vector<TokenId>& ids) const;

  Vocabulary vocabulary_;
  StringIds joinable_;
  std::vector<float> scores_;
  std::optional<TokenId> unk_;
  std::array<std::optional<TokenId>, 256> byte_ids_;
};

}  // namespace tutti::text
