// Classes of characters and normal forms, as the reference tokenizers know them (utf8proc).
#pragma once

#include <string>
#include <string_view>

namespace tutti::text {

bool is_white_space(char32_t c);  // Unicode White_Space
bool is_numeric(char32_t c);      // categories Nd, Nl, No
bool is_punctuation(char32_t c);  // category P, and the ASCII symbols
bool is_mark(char32_t c);         // category M
bool is_word(char32_t c);         // letters, marks, Nd, Nl, Pc and the two joiners

enum class NormalForm : unsigned char { nfc, nfd, nfkc, nfkd };

// `text` is valid UTF-8, and so is the answer.
std::string normal_form(std::string_view text, NormalForm form);
// Full lower-case mapping of each character on its own, without context.
std::string lower_case(std::string_view text);
// The same in upper case; the sharp s becomes SS.
std::string upper_case(std::string_view text);

}  // namespace tutti::text
