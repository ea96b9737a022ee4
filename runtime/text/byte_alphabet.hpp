// The byte-level alphabet of GPT-2: every byte has a printable character to stand for it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tutti::text {

class ByteAlphabet {
 public:
  ByteAlphabet();
  // Appends the spelling of every byte: " a" -> "Ġa".
  void append_spelling(std::string& out, std::string_view bytes) const;
  // The bytes behind a spelling; nothing where one of its characters is not of the alphabet.
  std::optional<std::string> bytes_of(std::string_view spelling) const;

 private:
  std::array<std::string, 256> spelling_;
  std::array<std::int16_t, 512> byte_;  // by code point; -1 where there is none
};

}  // namespace tutti::text
