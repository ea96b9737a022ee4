// A chat template cut into tokens, with the white space around its tags gone as transformers sets
// Jinja2 up: trim_blocks and lstrip_blocks are on, the last newline of the file does not count.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tutti::jinja {

enum class TokenKind : std::uint8_t {
  text,          // what is written as it stands
  output_begin,  // {{
  output_end,    // }}
  block_begin,   // {%
  block_end,     // %}
  name,
  string,  // its value
  integer,
  decimal,
  sign,  // an operator or a bracket
  end,
};

struct Token {
  TokenKind kind;
  std::string text;
  int line;  // from 1
};

// The last token is an `end`. Errors: ModelFileError with the line.
std::vector<Token> tokens_of(std::string_view source);

// "chat template, line 3: what"
[[noreturn]] void fail_at(int line, std::string_view what);

}  // namespace tutti::jinja
