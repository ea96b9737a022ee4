// A tokenizer.json out of a vocabulary in tiktoken's format (a line: base64 of the token, rank), so
// that tests can hold Llama 3's vocabulary to its reference without any Python.
#pragma once

#include <string>
#include <string_view>

namespace tutti::support {

// Byte-level BPE with Llama 3's pattern, ignore_merges and its 256 special tokens. A merge is
// listed for every way to split a token into two others, ordered by the token's rank. Errors:
// ModelFileError for a line that is not of the format.
std::string llama3_tokenizer_json(std::string_view tiktoken);

}  // namespace tutti::support
