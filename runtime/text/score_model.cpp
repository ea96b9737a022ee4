#include "runtime/text/score_model.hpp"

#include <fmt/format.h>

#include "runtime/text/merge_symbols.hpp"
#include "runtime/text/utf8.hpp"

namespace tutti::text {

ScoreModel::ScoreModel(Vocabulary vocabulary, StringIds joinable, std::vector<float> scores,
                       std::optional<TokenId> unk)
    : vocabulary_(std::move(vocabulary)),
      joinable_(std::move(joinable)),
      scores_(std::move(scores)),
      unk_(unk) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    byte_ids_[byte] = vocabulary_.find(fmt::format("<0x{:02X}>", byte));
  }
}

std::optional<TokenId> ScoreModel::joinable(std::string_view spelling) const {
  const auto found = joinable_.find(spelling);
  if (found == joinable_.end()) return std::nullopt;
  return found->second;
}

void ScoreModel::encode(std::string_view piece, std::vector<TokenId>& ids) const {
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  for (std::size_t at = 0; at < piece.size();) {
    const std::size_t size = code_point_at(piece, at).size;
    symbols.push_back({joinable(piece.substr(at, size)).value_or(-1),
                       static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(size)});
    at += size;
  }
  merge_symbols<float>(symbols, [&](const Symbol& left, const Symbol& right) {
    const auto id = joinable(piece.substr(left.begin, left.size + right.size));
    return id ? std::optional(Join<float>{-scores_[static_cast<std::size_t>(*id)], *id})
              : std::nullopt;
  });
  for (const Symbol& symbol : symbols) {
    if (symbol.size == 0) continue;
    if (symbol.id >= 0) {
      ids.push_back(symbol.id);
    } else {
      append_fallback(piece.substr(symbol.begin, symbol.size), ids);
    }
  }
}

void ScoreModel::append_fallback(std::string_view spelling, std::vector<TokenId>& ids) const {
  for (const char byte : spelling) {
    if (!byte_ids_[static_cast<std::uint8_t>(byte)]) {
      if (unk_) ids.push_back(*unk_);
      return;
    }
  }
  for (const char byte : spelling) ids.push_back(*byte_ids_[static_cast<std::uint8_t>(byte)]);
}

}  // namespace tutti::text
