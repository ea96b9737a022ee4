// Metaspace: spaces written as "▁", with or without one put before the text. Both a pre-tokenizer
// and a decoder.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/text/json_access.hpp"

namespace tutti::text {

enum class PrependScheme : std::uint8_t {
  always,  // to every stretch between added tokens
  first,   // only where the input begins
  never,
};

struct Metaspace {
  std::string replacement;
  PrependScheme scheme = PrependScheme::always;
  bool split = true;

  // Errors: ModelFileError.
  static Metaspace from_json(const Json& json, const std::string& where);
};

}  // namespace tutti::text
