// How the byte-level vocabularies of GGUF files cut a text, by the name under tokenizer.ggml.pre.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tutti::text {

struct GgufPreTokenizer {
  std::string_view name;
  std::span<const std::string_view> patterns;  // isolating splits, one after another
  bool ignore_merges = false;                  // a whole piece of the vocabulary is taken as it is
  bool add_bos = false;                        // where tokenizer.ggml.add_bos_token does not say
  bool nfc = false;                            // composes characters first
};

// Errors: ModelFileError that lists the known names.
const GgufPreTokenizer& gguf_pre_tokenizer(std::string_view name);

}  // namespace tutti::text
