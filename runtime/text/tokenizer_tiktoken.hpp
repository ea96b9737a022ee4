// Reads vocabularies of tiktoken's kind: a file of lines "base64 rank" (Llama 3's tokenizer.model,
// qwen.tiktoken), or Mistral's tekken.json.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "runtime/text/special_ids.hpp"
#include "runtime/text/tokenizer.hpp"

namespace tutti::text {

// Whether a tokenizer.model is of tiktoken's format and not SentencePiece's.
bool is_tiktoken(std::string_view file);

// `name` says which pattern and control tokens go with the ranks, since the file does not:
// "tokenizer.model" with 128,000 ranks is Llama 3 (control tokens as named since 3.1),
// "qwen.tiktoken" is Qwen 1. Errors: ModelFileError that names a line that is not understood, a
// byte without a token, or a file of another kind.
std::unique_ptr<Tokenizer> tokenizer_from_tiktoken(std::string_view file, const std::string& name,
                                                   const SideFiles& files);

// The file brings its pattern; ids begin with the control tokens. Errors: ModelFileError.
std::unique_ptr<Tokenizer> tokenizer_from_tekken(std::string_view json, const SideFiles& files);

}  // namespace tutti::text
