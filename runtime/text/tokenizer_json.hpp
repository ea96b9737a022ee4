// Reads tokenizer.json, the format of Hugging Face's `tokenizers`.
#pragma once

#include <memory>

#include "runtime/text/special_ids.hpp"
#include "runtime/text/tokenizer.hpp"

namespace tutti::text {

// Errors: ModelFileError that names what is missing, contradictory or not supported.
std::unique_ptr<Tokenizer> tokenizer_from_json(std::string_view json, const SideFiles& files);

}  // namespace tutti::text
