// What holds for every vocabulary that spells bytes, whatever its ranks are.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

#include "runtime/text/detokenizer.hpp"
#include "runtime/text/tokenizer.hpp"
#include "runtime/text/utf8.hpp"

namespace tutti::fuzz {

// The base64 of one byte: the first 256 ranks of a small vocabulary.
inline std::string base64_of(unsigned byte) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  return {kDigits[byte >> 2U], kDigits[byte << 4U & 63U], '=', '='};
}

// Ids are within the vocabulary, control tokens come from templates only, and text that is streamed
// back is what it is as a whole. `exact`: nothing is normalised, so that it is also what went in.
inline void check_byte_level(const Tokenizer& tokenizer, std::string_view text, bool exact) {
  for (const auto special : {SpecialTokens::as_text, SpecialTokens::parsed}) {
    const auto ids = tokenizer.encode(text, special);
    Detokenizer detokenizer(tokenizer, false);
    std::string streamed;
    for (const TokenId id : ids) {
      if (id < 0 || id >= tokenizer.vocabulary_size()) std::abort();
      if (special == SpecialTokens::as_text && tokenizer.is_special(id)) std::abort();
      streamed += detokenizer.push(id);
    }
    streamed += detokenizer.finish();
    if (streamed != tokenizer.decode(ids, false)) std::abort();
    if (special == SpecialTokens::as_text && exact &&
        streamed != text::replace_invalid_utf8(text)) {
      std::abort();
    }
  }
}

}  // namespace tutti::fuzz
