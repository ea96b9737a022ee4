#include "runtime/text/bpe_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "kernels/error.hpp"
#include "runtime/text/utf8.hpp"

namespace tutti::text {
namespace {

constexpr std::uint64_t kNoPair = ~std::uint64_t{0};

std::uint64_t pair_of(TokenId left, TokenId right) {
  return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32U) |
         static_cast<std::uint32_t>(right);
}

std::size_t slot_of(std::uint64_t pair, std::size_t size) {
  return static_cast<std::size_t>((pair * 0x9E3779B97F4A7C15U) >> 20U) & (size - 1);
}

TokenId required(const Vocabulary& vocabulary, std::string_view spelling, std::size_t merge,
                 const std::string& where) {
  if (const auto id = vocabulary.find(spelling)) return *id;
  throw ModelFileError(
      fmt::format("{}: merge {} wants '{}', which the vocabulary has not", where, merge, spelling));
}

}  // namespace

BpeModel::BpeModel(Vocabulary vocabulary, const Merges& merges, BpeOptions options,
                   const std::string& where)
    : vocabulary_(std::move(vocabulary)), options_(std::move(options)) {
  if (options_.unk) {
    unk_ = vocabulary_.find(*options_.unk);
    if (!unk_) {
      throw ModelFileError(
          fmt::format("{}: the unk token '{}' is not in the vocabulary", where, *options_.unk));
    }
  }
  for (unsigned byte = 0; byte < 256; ++byte) {
    byte_ids_[byte] = vocabulary_.find(fmt::format("<0x{:02X}>", byte));
  }
  table_.assign(std::bit_ceil(2 * merges.size() + 2), Merge{kNoPair, 0, 0});
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const auto& [left, right] = merges[i];
    const TokenId left_id = required(vocabulary_, left, i, where);
    const TokenId right_id = required(vocabulary_, right, i, where);
    const std::size_t prefix = std::min(options_.subword_prefix.size(), right.size());
    const TokenId id = required(vocabulary_, left + right.substr(prefix), i, where);
    insert({pair_of(left_id, right_id), static_cast<std::uint32_t>(i), id});
  }
}

// A pair that is listed twice keeps its last rank, as in the reference.
void BpeModel::insert(const Merge& merge) {
  std::size_t slot = slot_of(merge.pair, table_.size());
  while (table_[slot].pair != kNoPair && table_[slot].pair != merge.pair) {
    slot = (slot + 1) & (table_.size() - 1);
  }
  table_[slot] = merge;
}

const BpeModel::Merge* BpeModel::find(TokenId left, TokenId right) const {
  const std::uint64_t pair = pair_of(left, right);
  for (std::size_t slot = slot_of(pair, table_.size()); table_[slot].pair != kNoPair;
       slot = (slot + 1) & (table_.size() - 1)) {
    if (table_[slot].pair == pair) return &table_[slot];
  }
  return nullptr;
}

std::vector<Symbol> BpeModel::symbols_of(std::string_view piece) const {
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  std::optional<Symbol> unknown;  // not yet in its place: the next one may fuse with it
  const auto flush = [&] {
    if (unknown) symbols.push_back(*unknown);
    unknown.reset();
  };
  std::string affixed;
  for (std::size_t at = 0; at < piece.size();) {
    const auto begin = static_cast<std::uint32_t>(at);
    const auto size = static_cast<std::uint32_t>(code_point_at(piece, at).size);
    at += size;
    std::string_view spelling = piece.substr(begin, size);
    const bool prefixed = begin > 0 && !options_.subword_prefix.empty();
    const bool suffixed = at == piece.size() && !options_.word_suffix.empty();
    if (prefixed || suffixed) {
      affixed.assign(prefixed ? options_.subword_prefix : "").append(spelling);
      if (suffixed) affixed += options_.word_suffix;
      spelling = affixed;
    }
    if (const auto id = vocabulary_.find(spelling)) {
      flush();
      symbols.push_back({*id, begin, size});
      continue;
    }
    bool has_bytes = options_.byte_fallback;
    for (const char byte : spelling) {
      has_bytes = has_bytes && byte_ids_[static_cast<std::uint8_t>(byte)].has_value();
    }
    if (has_bytes) {
      for (const char byte : spelling) {
        symbols.push_back({*byte_ids_[static_cast<std::uint8_t>(byte)], begin, 1});
      }
    } else if (unk_) {
      if (unknown && options_.fuse_unk) {
        unknown->size += size;
      } else {
        flush();
        unknown = Symbol{*unk_, begin, size};
      }
    }
  }
  flush();
  return symbols;
}

void BpeModel::encode(std::string_view piece, std::vector<TokenId>& ids) const {
  if (options_.ignore_merges) {
    if (const auto id = vocabulary_.find(piece)) {
      ids.push_back(*id);
      return;
    }
  }
  std::vector<Symbol> symbols = symbols_of(piece);
  using Rank = std::uint32_t;
  merge_symbols<Rank>(symbols, [&](const Symbol& left, const Symbol& right) {
    const Merge* merge = find(left.id, right.id);
    return merge == nullptr ? std::nullopt : std::optional(Join<Rank>{merge->rank, merge->id});
  });
  for (const Symbol& symbol : symbols) {
    if (symbol.size > 0) ids.push_back(symbol.id);
  }
}

}  // namespace tutti::text
