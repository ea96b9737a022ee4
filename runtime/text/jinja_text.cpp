#include "runtime/text/jinja_text.hpp"

#include <algorithm>

#include "runtime/text/unicode.hpp"
#include "runtime/text/utf8.hpp"

namespace tutti::jinja {
namespace {

bool continues_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80;
}

std::size_t last_character(std::string_view text) {
  std::size_t at = text.size();
  while (at > 0 && continues_character(text[--at])) {
  }
  return at;
}

template <typename IsIn>
Text strip_where(const Text& text, Side side, const IsIn& is_in) {
  const std::string_view bytes = text.bytes();
  std::size_t begin = 0;
  std::size_t end = bytes.size();
  if ((static_cast<int>(side) & static_cast<int>(Side::left)) != 0) {
    while (begin < end) {
      const std::size_t size = text::code_point_at(bytes, begin).size;
      if (!is_in(bytes.substr(begin, size))) break;
      begin += size;
    }
  }
  if ((static_cast<int>(side) & static_cast<int>(Side::right)) != 0) {
    while (end > begin) {
      const std::size_t last = last_character(bytes.substr(0, end));
      if (!is_in(bytes.substr(last, end - last))) break;
      end = last;
    }
  }
  return text.slice(begin, end);
}

// Each character by itself, so that it keeps its origin though its length may change.
template <typename Mapping>
Text mapped(const Text& text, const Mapping& mapping) {
  Text out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = text::code_point_at(text.bytes(), at).size;
    out.append(mapping(std::string_view(text.bytes()).substr(at, size)), text.origin(at));
    at += size;
  }
  return out;
}

}  // namespace

Text Text::slice(std::size_t begin, std::size_t end) const {
  Text out;
  out.bytes_ = bytes_.substr(begin, end - begin);
  out.origins_ = origins_.substr(begin, end - begin);
  return out;
}

void Text::append(const Text& more) {
  bytes_ += more.bytes_;
  origins_ += more.origins_;
}

void Text::append(std::string_view more, Origin origin) {
  bytes_ += more;
  origins_.append(more.size(), static_cast<char>(origin));
}

std::size_t space_at_start(std::string_view text) {
  if (text.empty()) return 0;
  const text::CodePoint c = text::code_point_at(text, 0);
  // Python counts the four separators of ASCII too.
  const bool space =
      c.valid && (text::is_white_space(c.value) || (c.value >= 0x1c && c.value <= 0x1f));
  return space ? c.size : 0;
}

std::vector<std::size_t> character_starts(std::string_view text) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!continues_character(text[i])) starts.push_back(i);
  }
  starts.push_back(text.size());
  return starts;
}

std::size_t character_count(std::string_view text) {
  return text.size() -
         static_cast<std::size_t>(std::count_if(text.begin(), text.end(), continues_character));
}

Text stripped(const Text& text, Side side) {
  return strip_where(text, side, [](std::string_view c) { return space_at_start(c) > 0; });
}

Text stripped(const Text& text, std::string_view set, Side side) {
  return strip_where(text, side,
                     [set](std::string_view c) { return set.find(c) != std::string_view::npos; });
}

Text lower(const Text& text) {
  return mapped(text, text::lower_case);
}

Text upper(const Text& text) {
  return mapped(text, text::upper_case);
}

Text capitalized(const Text& text, bool each_word) {
  bool first = true;
  return mapped(text, [&](std::string_view c) {
    const bool capital = first;
    first = each_word && !text::is_word(text::code_point_at(c, 0).value);
    return capital ? text::upper_case(c) : text::lower_case(c);
  });
}

}  // namespace tutti::jinja
