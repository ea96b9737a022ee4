// UTF-8, character by character; and the one rule for bytes that are not UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tutti::text {

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// One step through a text. Where the bytes at `begin` are ill-formed, `valid` is false, `size` is
// the length of the maximal ill-formed subsequence (Unicode 15, section 3.9) and `value` U+FFFD.
struct CodePoint {
  char32_t value = 0;
  std::size_t size = 1;  // bytes
  bool valid = true;
};

// `begin` < text.size().
CodePoint code_point_at(std::string_view text, std::size_t begin);
// The last character of a valid, non-empty text.
CodePoint last_code_point(std::string_view text);
void append_utf8(std::string& text, char32_t value);
bool is_valid_utf8(std::string_view text);
// Each maximal ill-formed subsequence becomes one U+FFFD, as Python's errors="replace" does.
std::string replace_invalid_utf8(std::string_view text);
// True when more bytes could turn the end of `text` into a character.
bool ends_in_open_character(std::string_view text);

}  // namespace tutti::text
