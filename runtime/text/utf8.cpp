#include "runtime/text/utf8.hpp"

#include <algorithm>
#include <cstdint>

namespace tutti::text {
namespace {

struct Lead {
  std::size_t size;        // 0 where the byte cannot open a character
  std::uint8_t low, high;  // bounds of the second byte (Unicode 15, table 3-7)
};

Lead lead_of(std::uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

// How many bytes from `begin` on are a character or the open start of one; at least 1.
std::size_t well_formed_prefix(std::string_view text, std::size_t begin, const Lead& lead) {
  std::size_t size = 1;
  while (size < lead.size && begin + size < text.size()) {
    const auto byte = static_cast<std::uint8_t>(text[begin + size]);
    const std::uint8_t low = size == 1 ? lead.low : 0x80;
    const std::uint8_t high = size == 1 ? lead.high : 0xBF;
    if (byte < low || byte > high) break;
    ++size;
  }
  return size;
}

}  // namespace

CodePoint code_point_at(std::string_view text, std::size_t begin) {
  const auto first = static_cast<std::uint8_t>(text[begin]);
  if (first < 0x80) return {first, 1, true};
  const Lead lead = lead_of(first);
  const std::size_t size = well_formed_prefix(text, begin, lead);
  if (lead.size == 0 || size < lead.size) return {0xFFFD, size, false};
  char32_t value = first & (0x7FU >> lead.size);
  for (std::size_t i = 1; i < size; ++i) {
    value = (value << 6U) | (static_cast<std::uint8_t>(text[begin + i]) & 0x3FU);
  }
  return {value, size, true};
}

CodePoint last_code_point(std::string_view text) {
  std::size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<std::uint8_t>(text[begin]) & 0xC0U) == 0x80U) --begin;
  return code_point_at(text, begin);
}

void append_utf8(std::string& text, char32_t value) {
  const auto byte = [&](char32_t bits) { text.push_back(static_cast<char>(bits)); };
  if (value < 0x80) {
    byte(value);
  } else if (value < 0x800) {
    byte(0xC0 | (value >> 6));
    byte(0x80 | (value & 0x3F));
  } else if (value < 0x10000) {
    byte(0xE0 | (value >> 12));
    byte(0x80 | ((value >> 6) & 0x3F));
    byte(0x80 | (value & 0x3F));
  } else {
    byte(0xF0 | (value >> 18));
    byte(0x80 | ((value >> 12) & 0x3F));
    byte(0x80 | ((value >> 6) & 0x3F));
    byte(0x80 | (value & 0x3F));
  }
}

bool is_valid_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = code_point_at(text, i);
    if (!c.valid) return false;
    i += c.size;
  }
  return true;
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = code_point_at(text, i);
    out += c.valid ? text.substr(i, c.size) : kReplacement;
    i += c.size;
  }
  return out;
}

bool ends_in_open_character(std::string_view text) {
  const std::size_t window = std::min<std::size_t>(3, text.size());
  for (std::size_t back = 1; back <= window; ++back) {
    const std::size_t begin = text.size() - back;
    const Lead lead = lead_of(static_cast<std::uint8_t>(text[begin]));
    if (lead.size > back) return well_formed_prefix(text, begin, lead) == back;
    if (lead.size != 0) return false;
  }
  return false;
}

}  // namespace tutti::text
