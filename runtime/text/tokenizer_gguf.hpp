// Reads the tokenizer that a GGUF file keeps in its metadata, as one JSON object ("gguf.json").
#pragma once

#include <memory>

#include "runtime/text/special_ids.hpp"
#include "runtime/text/tokenizer.hpp"

namespace tutti::text {

// tokenizer.ggml.model "gpt2": byte-level BPE; "llama": SentencePiece's BPE by scores, a space put
// before each stretch of plain text (unless tokenizer.ggml.add_space_prefix is false).
// Errors: ModelFileError that names what is missing, contradictory or not supported.
std::unique_ptr<Tokenizer> tokenizer_from_gguf(std::string_view json, const SideFiles& files);

}  // namespace tutti::text
