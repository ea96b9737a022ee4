#include "runtime/text/unigram_model.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/error.hpp"
#include "runtime/text/utf8.hpp"

namespace tutti::text {
namespace {

constexpr double kUnkPenalty = 10;  // below the least score; the reference's constant

std::uint64_t edge(std::uint32_t node, char byte) {
  return std::uint64_t{node} << 8U | static_cast<std::uint8_t>(byte);
}

}  // namespace

UnigramModel::UnigramModel(Vocabulary vocabulary, std::vector<double> scores,
                           std::optional<TokenId> unk, bool byte_fallback, const std::string& where)
    : vocabulary_(std::move(vocabulary)),
      scores_(std::move(scores)),
      unk_(unk),
      byte_fallback_(byte_fallback),
      where_(where) {
  if (scores_.empty() || (unk_ && static_cast<std::size_t>(*unk_) >= scores_.size())) {
    throw ModelFileError(fmt::format("{}: \"unk_id\" is {}, the vocabulary has {} tokens", where,
                                     unk_.value_or(-1), scores_.size()));
  }
  unk_score_ = *std::min_element(scores_.begin(), scores_.end()) - kUnkPenalty;
  for (TokenId id = 0; id < vocabulary_.end_id(); ++id) insert(vocabulary_.spelling(id), id);
  for (unsigned byte = 0; byte < 256; ++byte) {
    byte_ids_[byte] = vocabulary_.find(fmt::format("<0x{:02X}>", byte));
  }
}

void UnigramModel::insert(std::string_view spelling, TokenId id) {
  std::uint32_t node = 0;
  for (const char byte : spelling) {
    const auto [entry, is_new] =
        next_.try_emplace(edge(node, byte), static_cast<std::uint32_t>(token_.size()));
    if (is_new) token_.push_back(-1);
    node = entry->second;
  }
  if (node != 0) token_[node] = id;
}

// Carries the best way to `begin` on by every token that the piece has there.
void UnigramModel::extend(std::string_view piece, std::size_t begin,
                          std::vector<Step>& steps) const {
  const std::size_t size = code_point_at(piece, begin).size;
  const double score = steps[begin].score;
  bool has_single = false;
  const auto offer = [&](std::size_t end, double more, TokenId id) {
    Step& step = steps[end];
    if (!step.reached || score + more > step.score) step = {score + more, id, begin, true};
  };
  std::uint32_t node = 0;
  for (std::size_t end = begin; end < piece.size();) {
    const auto next = next_.find(edge(node, piece[end]));
    if (next == next_.end()) break;
    node = next->second;
    ++end;
    const TokenId id = token_[node];
    if (id < 0) continue;
    offer(end, scores_[static_cast<std::size_t>(id)], id);
    has_single = has_single || end == begin + size;
  }
  if (has_single) return;
  const Step& after = steps[begin + size];
  if (after.reached && after.score >= score + unk_score_) return;  // by a token that began earlier
  if (!unk_) {
    throw ModelFileError(
        fmt::format("{}: no token for '{}', and no unk_id", where_, piece.substr(begin, size)));
  }
  offer(begin + size, unk_score_, *unk_);
}

void UnigramModel::encode(std::string_view piece, std::vector<TokenId>& ids) const {
  std::vector<Step> steps(piece.size() + 1);
  for (std::size_t at = 0; at < piece.size(); at += code_point_at(piece, at).size) {
    extend(piece, at, steps);
  }
  std::vector<Span> spans;
  for (std::size_t end = piece.size(); end > 0; end = steps[end].begin) {
    const Step& step = steps[end];
    const bool joins = unk_ && step.id == *unk_ && !spans.empty() &&
                       steps[spans.back().end].id == *unk_ && spans.back().begin == end;
    if (joins) {
      spans.back().begin = step.begin;
    } else {
      spans.push_back({step.begin, end});
    }
  }
  for (auto span = spans.rbegin(); span != spans.rend(); ++span) {
    append(piece.substr(span->begin, span->end - span->begin), ids);
  }
}

void UnigramModel::append(std::string_view spelling, std::vector<TokenId>& ids) const {
  if (const auto id = vocabulary_.find(spelling)) {
    ids.push_back(*id);
    return;
  }
  const auto byte_of = [this](char c) { return byte_ids_[static_cast<std::uint8_t>(c)]; };
  const bool bytes = byte_fallback_ && std::all_of(spelling.begin(), spelling.end(),
                                                   [&](char c) { return byte_of(c).has_value(); });
  if (!bytes) {
    ids.push_back(*unk_);
    return;
  }
  for (const char byte : spelling) ids.push_back(*byte_of(byte));
}

}  // namespace tutti::text
