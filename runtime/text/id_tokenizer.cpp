#include "runtime/text/id_tokenizer.hpp"

#include <fmt/format.h>

#include <charconv>

#include "kernels/error.hpp"

namespace tutti {

std::vector<TokenId> IdTokenizer::encode(std::string_view text, SpecialTokens) const {
  constexpr std::string_view kSpaces = " \t\r\n";
  std::vector<TokenId> ids;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(kSpaces), text.size()));
    if (text.empty()) {
      return ids;
    }
    const std::string_view word = text.substr(0, text.find_first_of(kSpaces));
    std::int64_t id = -1;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc() || end != word.data() + word.size() || id < 0 || id >= vocabulary_) {
      throw ConfigError(fmt::format(
          "this model has no vocabulary of text: a prompt is token ids in [0, {}) with spaces "
          "between them, found '{}'",
          vocabulary_, word));
    }
    ids.push_back(static_cast<TokenId>(id));
    text.remove_prefix(word.size());
  }
}

std::string IdTokenizer::decode(std::span<const TokenId> ids, bool) const {
  std::string text;
  for (const TokenId id : ids) {
    text += fmt::format(" {}", id);
  }
  return text;
}

}  // namespace tutti
