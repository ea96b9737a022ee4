// Characters that Unicode 15 and 16 added: the reference tokenizers know them, the Unicode 14 of
// Debian 12's PCRE2 does not, and a letter that is taken for a symbol splits a word.
#pragma once

#include <span>
#include <string_view>

namespace tutti::text {

struct UnicodeAddition {
  char32_t first, last;       // both of them included
  std::string_view category;  // Lu, Ll, Lm, Lo, M, Nd, No, P, S
};

// Sorted by character.
std::span<const UnicodeAddition> unicode_additions();

}  // namespace tutti::text
