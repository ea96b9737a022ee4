#include "runtime/text/added_tokens.hpp"

#include <algorithm>

#include "runtime/text/unicode.hpp"
#include "runtime/text/utf8.hpp"

namespace tutti::text {
namespace {

bool word_before(std::string_view text, std::size_t at) {
  return at > 0 && is_word(last_code_point(text.substr(0, at)).value);
}

bool word_after(std::string_view text, std::size_t at) {
  return at < text.size() && is_word(code_point_at(text, at).value);
}

std::size_t skip_space_left(std::string_view text, std::size_t at, std::size_t limit) {
  while (at > limit) {
    const CodePoint c = last_code_point(text.substr(0, at));
    if (!is_white_space(c.value) || at - c.size < limit) break;
    at -= c.size;
  }
  return at;
}

std::size_t skip_space_right(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const CodePoint c = code_point_at(text, at);
    if (!is_white_space(c.value)) break;
    at += c.size;
  }
  return at;
}

}  // namespace

AddedToken AddedToken::from_json(const Json& json, TokenId id, const std::string& where) {
  AddedToken token;
  token.id = id;
  token.content = string_member(json, "content", where);
  token.special = bool_member(json, "special", false, where);
  token.normalized = bool_member(json, "normalized", !token.special, where);
  token.lstrip = bool_member(json, "lstrip", false, where);
  token.rstrip = bool_member(json, "rstrip", false, where);
  token.single_word = bool_member(json, "single_word", false, where);
  return token;
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const Normalizer* normalizer)
    : tokens_(std::move(tokens)) {
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    by_id_[token.id] = i;
    by_content_[token.content] = i;
    Piece piece{token.content};
    if (token.normalized && normalizer != nullptr) normalizer->apply(piece);
    if (piece.text.empty()) continue;
    (token.normalized ? normalized_ : raw_).push_back({std::move(piece.text), i});
  }
  const auto by_text = [](const Entry& a, const Entry& b) { return a.text < b.text; };
  std::stable_sort(raw_.begin(), raw_.end(), by_text);
  std::stable_sort(normalized_.begin(), normalized_.end(), by_text);
}

const AddedToken* AddedTokens::find(TokenId id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto found = by_content_.find(std::string(content));
  return found == by_content_.end() ? nullptr : &tokens_[found->second];
}

std::vector<Section> AddedTokens::split_raw(std::string_view text, SpecialTokens special) const {
  return split(raw_, text, special);
}

std::vector<Section> AddedTokens::split_normalized(std::string_view text,
                                                   SpecialTokens special) const {
  return split(normalized_, text, special);
}

// Narrows the sorted entries byte by byte, as a walk down a trie would.
const AddedTokens::Entry* AddedTokens::longest_at(const std::vector<Entry>& sorted,
                                                  std::string_view text, std::size_t begin) {
  auto low = sorted.begin();
  auto high = sorted.end();
  const Entry* longest = nullptr;
  for (std::size_t depth = 0; begin + depth < text.size() && low != high; ++depth) {
    const auto byte = static_cast<unsigned char>(text[begin + depth]);
    const auto byte_of = [depth](const Entry& entry) {
      return static_cast<unsigned char>(entry.text[depth]);
    };
    low = std::partition_point(low, high, [&](const Entry& entry) {
      return entry.text.size() <= depth || byte_of(entry) < byte;
    });
    high =
        std::partition_point(low, high, [&](const Entry& entry) { return byte_of(entry) == byte; });
    if (low != high && low->text.size() == depth + 1) longest = &*low;
  }
  return longest;
}

std::vector<Section> AddedTokens::split(const std::vector<Entry>& sorted, std::string_view text,
                                        SpecialTokens special) const {
  std::vector<Section> sections;
  std::size_t plain = 0;  // where the plain text that is not yet in a section begins
  for (std::size_t at = 0; at < text.size() && !sorted.empty();) {
    const Entry* entry = longest_at(sorted, text, at);
    if (entry == nullptr) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[entry->token];
    std::size_t begin = at;
    std::size_t end = at + entry->text.size();
    at = end;  // the match is consumed even where it does not count, as the reference does
    if (token.special && special == SpecialTokens::as_text) continue;
    if (token.single_word && (word_before(text, begin) || word_after(text, end))) continue;
    begin = std::max(begin, plain);
    if (token.lstrip) begin = skip_space_left(text, begin, plain);
    if (token.rstrip) end = skip_space_right(text, end);
    if (plain < begin) sections.push_back({{plain, begin}, std::nullopt});
    sections.push_back({{begin, end}, token.id});
    plain = end;
    at = std::max(at, end);
  }
  if (plain < text.size()) sections.push_back({{plain, text.size()}, std::nullopt});
  return sections;
}

}  // namespace tutti::text
