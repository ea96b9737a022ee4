// The pre-tokenizers of tokenizer.json: how a text is cut into the pieces that no merge crosses.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/json_access.hpp"
#include "runtime/text/piece.hpp"

namespace tutti::text {

// The split of GPT-2 (Radford et al. 2019), which ByteLevel brings with it.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  // Replaces the pieces by smaller ones; none of them is empty.
  virtual void apply(std::vector<Piece>& pieces) const = 0;
};

// `json`: the "pre_tokenizer" member, null for none (then the answer is null too).
// Knows ByteLevel, Split, Metaspace, Digits, Punctuation, Whitespace, WhitespaceSplit,
// CharDelimiterSplit, Sequence. Errors: ModelFileError that names what is not known.
std::unique_ptr<PreTokenizer> make_pre_tokenizer(const Json& json, const std::string& where);

// One isolating split after another by the patterns, then the byte-level alphabet.
std::unique_ptr<PreTokenizer> make_byte_level_pre_tokenizer(
    std::span<const std::string_view> patterns, const std::string& where);

}  // namespace tutti::text
