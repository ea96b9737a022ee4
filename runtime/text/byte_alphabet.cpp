#include "runtime/text/byte_alphabet.hpp"

#include "runtime/text/utf8.hpp"

namespace tutti::text {

// Printable Latin-1 stands for itself; the other bytes take the code points from 256 on, in order.
ByteAlphabet::ByteAlphabet() {
  byte_.fill(-1);
  char32_t next = 256;
  for (unsigned b = 0; b < 256; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    const char32_t c = printable ? b : next++;
    append_utf8(spelling_[b], c);
    byte_[c] = static_cast<std::int16_t>(b);
  }
}

void ByteAlphabet::append_spelling(std::string& out, std::string_view bytes) const {
  for (const char byte : bytes) out += spelling_[static_cast<std::uint8_t>(byte)];
}

std::optional<std::string> ByteAlphabet::bytes_of(std::string_view spelling) const {
  std::string bytes;
  for (std::size_t i = 0; i < spelling.size();) {
    const CodePoint c = code_point_at(spelling, i);
    if (!c.valid || c.value >= byte_.size() || byte_[c.value] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(byte_[c.value]));
    i += c.size;
  }
  return bytes;
}

}  // namespace tutti::text
