// A tokenizer of exchangeable stages: added tokens, normalizer, pre-tokenizer, model, decoder.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/text/added_tokens.hpp"
#include "runtime/text/decoder.hpp"
#include "runtime/text/normalizer.hpp"
#include "runtime/text/pre_tokenizer.hpp"
#include "runtime/text/token_model.hpp"
#include "runtime/text/tokenizer.hpp"

namespace tutti::text {

struct PipelineStages {
  std::unique_ptr<Normalizer> normalizer;       // may be null
  std::unique_ptr<PreTokenizer> pre_tokenizer;  // may be null
  std::unique_ptr<TokenModel> model;
  std::unique_ptr<Decoder> decoder;  // null: the tokens joined by spaces
  std::vector<AddedToken> added;
  std::string kind;
};

class PipelineTokenizer : public Tokenizer {
 public:
  explicit PipelineTokenizer(PipelineStages stages);
  void set_special(SpecialIds special) { special_ = std::move(special); }  // only while building

  std::vector<TokenId> encode(std::string_view text, SpecialTokens special) const override;
  std::string decode(std::span<const TokenId> ids, bool skip_special) const override;
  std::int64_t vocabulary_size() const override { return vocabulary_size_; }
  const SpecialIds& special() const override { return special_; }
  bool is_special(TokenId id) const override;
  std::optional<TokenId> id_of(std::string_view token) const override;
  std::string token_text(TokenId id) const override;
  std::string kind() const override { return stages_.kind; }

 private:
  // Pieces that one text has again and again are merged once.
  using Cache = std::unordered_map<std::string, std::vector<TokenId>>;
  void encode_plain(Piece piece, Cache& cache, std::vector<TokenId>& ids) const;
  void encode_piece(const Piece& piece, Cache& cache, std::vector<TokenId>& ids) const;

  PipelineStages stages_;
  AddedTokens added_;
  SpecialIds special_;
  std::int64_t vocabulary_size_ = 0;
};

}  // namespace tutti::text
