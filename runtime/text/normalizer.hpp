// The normalizers of tokenizer.json: what is done to a text before it is cut into pieces.
#pragma once

#include <memory>
#include <string>

#include "runtime/text/json_access.hpp"
#include "runtime/text/piece.hpp"

namespace tutti::text {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void apply(Piece& piece) const = 0;
};

// `json`: the "normalizer" member, null for none (then the answer is null too).
// Knows NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Prepend, Replace, ByteLevel,
// Sequence. Errors: ModelFileError that names what is not known.
std::unique_ptr<Normalizer> make_normalizer(const Json& json, const std::string& where);

}  // namespace tutti::text
