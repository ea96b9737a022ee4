#include "runtime/text/unicode.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <memory>

#include "kernels/error.hpp"
#include "runtime/text/unicode_additions.hpp"
#include "runtime/text/utf8.hpp"

namespace tutti::text {
namespace {

utf8proc_category_t category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

// Whether a newer Unicode than utf8proc's put the character into a category that begins so.
bool is_added(char32_t c, char category_initial) {
  const auto additions = unicode_additions();
  const auto after = std::upper_bound(
      additions.begin(), additions.end(), c,
      [](char32_t value, const UnicodeAddition& range) { return value < range.first; });
  if (after == additions.begin()) return false;
  const UnicodeAddition& range = *std::prev(after);
  return c <= range.last && range.category.front() == category_initial;
}

}  // namespace

bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_numeric(char32_t c) {
  const auto kind = category(c);
  return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL ||
         kind == UTF8PROC_CATEGORY_NO || is_added(c, 'N');
}

bool is_punctuation(char32_t c) {
  if (c < 0x80) {
    return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) ||
           (c >= 0x7B && c <= 0x7E);
  }
  const auto kind = category(c);
  return (kind >= UTF8PROC_CATEGORY_PC && kind <= UTF8PROC_CATEGORY_PO) || is_added(c, 'P');
}

bool is_mark(char32_t c) {
  const auto kind = category(c);
  return (kind >= UTF8PROC_CATEGORY_MN && kind <= UTF8PROC_CATEGORY_ME) || is_added(c, 'M');
}

bool is_word(char32_t c) {
  const auto kind = category(c);
  const bool letter = kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
  const bool circled = (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
                       (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
  return letter || circled || is_mark(c) || is_added(c, 'L') || kind == UTF8PROC_CATEGORY_ND ||
         kind == UTF8PROC_CATEGORY_NL || kind == UTF8PROC_CATEGORY_PC || c == 0x200C || c == 0x200D;
}

std::string normal_form(std::string_view text, NormalForm form) {
  auto options = static_cast<unsigned>(UTF8PROC_STABLE);
  const bool compose = form == NormalForm::nfc || form == NormalForm::nfkc;
  options |= compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  if (form == NormalForm::nfkc || form == NormalForm::nfkd) options |= UTF8PROC_COMPAT;
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                             static_cast<utf8proc_ssize_t>(text.size()), &mapped,
                                             static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  if (size < 0) throw Error(std::string("normal form of a text: ") + utf8proc_errmsg(size));
  return {reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size)};
}

std::string lower_case(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = code_point_at(text, i);
    if (c.value == 0x130) {
      out += "i\xCC\x87";  // the only character whose lower case is two characters
    } else {
      append_utf8(out,
                  static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c.value))));
    }
    i += c.size;
  }
  return out;
}

std::string upper_case(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = code_point_at(text, i);
    if (c.value == 0xDF) {
      out += "SS";
    } else {
      append_utf8(out,
                  static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c.value))));
    }
    i += c.size;
  }
  return out;
}

}  // namespace tutti::text
