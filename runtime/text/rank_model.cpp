#include "runtime/text/rank_model.hpp"

#include "runtime/text/merge_symbols.hpp"
#include "runtime/text/utf8.hpp"

namespace tutti::text {

void RankModel::encode(std::string_view piece, std::vector<TokenId>& ids) const {
  if (const auto whole = vocabulary_.find(piece)) {
    ids.push_back(*whole);
    return;
  }
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  for (std::size_t at = 0; at < piece.size();) {
    const std::size_t size = code_point_at(piece, at).size;
    symbols.push_back({vocabulary_.find(piece.substr(at, size)).value_or(-1),
                       static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(size)});
    at += size;
  }
  merge_symbols<TokenId>(symbols, [&](const Symbol& left, const Symbol& right) {
    const auto id = vocabulary_.find(piece.substr(left.begin, left.size + right.size));
    return id ? std::optional(Join<TokenId>{*id, *id}) : std::nullopt;
  });
  for (const Symbol& symbol : symbols) {
    if (symbol.size > 0 && symbol.id >= 0) ids.push_back(symbol.id);
  }
}

}  // namespace tutti::text
