// The decoders of tokenizer.json: from the vocabulary's spellings back to text.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/json_access.hpp"

namespace tutti::text {

class Decoder {
 public:
  virtual ~Decoder() = default;
  // A step of the chain: spellings in, spellings out; joined after the last step they are the text.
  virtual std::vector<std::string> apply(std::vector<std::string> tokens) const = 0;
};

// `json`: the "decoder" member, null for none (then the answer is null too).
// Knows ByteLevel, ByteFallback, Fuse, Strip, Replace, Metaspace, Sequence.
// Errors: ModelFileError that names what is not known.
std::unique_ptr<Decoder> make_decoder(const Json& json, const std::string& where);

// The byte of a fallback token's spelling "<0xE4>"; -1 where it is not one.
int fallback_byte(std::string_view spelling);

// The chain of Llama's SentencePiece vocabularies: "▁" to space, bytes to characters, and the
// one space that was put before the text goes, if `strip_first_space`.
std::unique_ptr<Decoder> make_sentencepiece_decoder(bool strip_first_space);

}  // namespace tutti::text
