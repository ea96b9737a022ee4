// Text to token ids and back, exactly as the model's reference tokenizer does it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/weights/assets.hpp"

namespace tutti {

using TokenId = std::int32_t;

struct SpecialIds {
  std::optional<TokenId> bos;
  std::vector<TokenId> eos;  // every id that ends an answer (generation_config, <|eot_id|>, …)
  std::optional<TokenId> unk;
  std::optional<TokenId> pad;
  bool add_bos = false;  // what the reference does with add_special_tokens=True on plain text
  bool add_eos = false;
};

enum class SpecialTokens : std::uint8_t {
  as_text,  // user text: "<|im_start|>" is just characters
  parsed,   // template text: control tokens become their ids
};

// Immutable after construction; safe to use from several threads.
// Invalid UTF-8 in the input becomes U+FFFD, one for each maximal ill-formed subsequence (Unicode
// 15, section 3.9, as Python's errors="replace").
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  // Added (non-special) tokens are always recognised. No bos or eos is added here.
  virtual std::vector<TokenId> encode(std::string_view text, SpecialTokens special) const = 0;
  // The text of a whole sequence, special tokens left out when skip_special is set. Always valid
  // UTF-8: bytes that are no character become U+FFFD. No clean-up of spaces before punctuation.
  virtual std::string decode(std::span<const TokenId> ids, bool skip_special) const = 0;
  virtual std::int64_t vocabulary_size() const = 0;  // largest id + 1
  virtual const SpecialIds& special() const = 0;
  virtual bool is_special(TokenId id) const = 0;
  virtual std::optional<TokenId> id_of(std::string_view token) const = 0;
  // The vocabulary's own spelling of an id ("▁the", "Ġthe", "<|im_end|>"), for logprobs and logs.
  virtual std::string token_text(TokenId id) const = 0;
  virtual std::string kind() const = 0;  // "byte-level BPE (tokenizer.json)", for inspect
};

// Picks the best description that the assets hold: tokenizer.json, tekken.json, tokenizer.model
// (SentencePiece's or tiktoken's), a *.tiktoken, gguf.json, in this order. Errors: ModelFileError,
// naming the entry and what is not understood.
std::unique_ptr<Tokenizer> make_tokenizer(const TokenizerAssets& assets);

}  // namespace tutti
