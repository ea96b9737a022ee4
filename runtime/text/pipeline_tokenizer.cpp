#include "runtime/text/pipeline_tokenizer.hpp"

#include <algorithm>

#include "runtime/text/utf8.hpp"

namespace tutti::text {
namespace {

constexpr std::size_t kLongestCachedPiece = 64;  // bytes; longer ones seldom come back

}  // namespace

PipelineTokenizer::PipelineTokenizer(PipelineStages stages)
    : stages_(std::move(stages)), added_(std::move(stages_.added), stages_.normalizer.get()) {
  vocabulary_size_ = stages_.model->vocabulary().end_id();
  for (const AddedToken& token : added_.all()) {
    vocabulary_size_ = std::max<std::int64_t>(vocabulary_size_, token.id + 1);
  }
}

std::vector<TokenId> PipelineTokenizer::encode(std::string_view text, SpecialTokens special) const {
  std::string repaired;
  if (!is_valid_utf8(text)) {
    repaired = replace_invalid_utf8(text);
    text = repaired;
  }
  std::vector<TokenId> ids;
  Cache cache;
  for (const Section& section : added_.split_raw(text, special)) {
    if (section.id) {
      ids.push_back(*section.id);
      continue;
    }
    const auto [begin, end] = section.span;
    Piece piece{std::string(text.substr(begin, end - begin)), begin == 0};
    if (stages_.normalizer) stages_.normalizer->apply(piece);
    for (const Section& inner : added_.split_normalized(piece.text, special)) {
      if (inner.id) {
        ids.push_back(*inner.id);
        continue;
      }
      encode_plain({piece.text.substr(inner.span.begin, inner.span.end - inner.span.begin),
                    piece.at_start && inner.span.begin == 0},
                   cache, ids);
    }
  }
  return ids;
}

void PipelineTokenizer::encode_plain(Piece piece, Cache& cache, std::vector<TokenId>& ids) const {
  std::vector<Piece> pieces;
  pieces.push_back(std::move(piece));
  if (stages_.pre_tokenizer) stages_.pre_tokenizer->apply(pieces);
  for (const Piece& each : pieces) encode_piece(each, cache, ids);
}

void PipelineTokenizer::encode_piece(const Piece& piece, Cache& cache,
                                     std::vector<TokenId>& ids) const {
  if (piece.text.size() > kLongestCachedPiece) return stages_.model->encode(piece.text, ids);
  const auto [entry, is_new] = cache.try_emplace(piece.text);
  if (is_new) stages_.model->encode(piece.text, entry->second);
  ids.insert(ids.end(), entry->second.begin(), entry->second.end());
}

std::string PipelineTokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const TokenId id : ids) {
    if (const AddedToken* token = added_.find(id)) {
      if (!skip_special || !token->special) tokens.push_back(token->content);
    } else if (stages_.model->vocabulary().contains(id)) {
      tokens.push_back(stages_.model->vocabulary().spelling(id));
    }
  }
  const std::string_view separator = stages_.decoder ? "" : " ";
  if (stages_.decoder) tokens = stages_.decoder->apply(std::move(tokens));
  std::string text;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) text += separator;
    text += tokens[i];
  }
  return text;
}

bool PipelineTokenizer::is_special(TokenId id) const {
  const AddedToken* token = added_.find(id);
  return token != nullptr && token->special;
}

std::optional<TokenId> PipelineTokenizer::id_of(std::string_view token) const {
  if (const AddedToken* added = added_.find(token)) return added->id;
  return stages_.model->vocabulary().find(token);
}

std::string PipelineTokenizer::token_text(TokenId id) const {
  if (const AddedToken* added = added_.find(id)) return added->content;
  const Vocabulary& vocabulary = stages_.model->vocabulary();
  return vocabulary.contains(id) ? vocabulary.spelling(id) : std::string();
}

}  // namespace tutti::text
