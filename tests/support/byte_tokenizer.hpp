// A tokenizer that needs no vocabulary: ids 0..255 are bytes, 256 ends an answer.
#pragma once

#include "runtime/text/tokenizer.hpp"
#include "runtime/text/utf8.hpp"

namespace tutti::test {

class ByteTokenizer final : public Tokenizer {
 public:
  static constexpr TokenId kEos = 256;

  ByteTokenizer() { special_.eos = {kEos}; }

  std::vector<TokenId> encode(std::string_view text, SpecialTokens) const override {
    std::vector<TokenId> ids;
    for (const char c : text) {
      ids.push_back(static_cast<unsigned char>(c));
    }
    return ids;
  }
  std::string decode(std::span<const TokenId> ids, bool) const override {
    std::string bytes;
    for (const TokenId id : ids) {
      bytes += id < kEos ? std::string(1, static_cast<char>(id)) : std::string();
    }
    return text::replace_invalid_utf8(bytes);
  }
  std::int64_t vocabulary_size() const override { return kEos + 1; }
  const SpecialIds& special() const override { return special_; }
  bool is_special(TokenId id) const override { return id == kEos; }
  std::optional<TokenId> id_of(std::string_view) const override { return std::nullopt; }
  std::string token_text(TokenId id) const override { return decode({&id, 1}, false); }
  std::string kind() const override { return "bytes"; }

 private:
  SpecialIds special_;
};

}  // namespace tutti::test
