// Reads tokenizer.model, a serialized SentencePiece model.
#pragma once

#include <memory>

#include "runtime/text/special_ids.hpp"
#include "runtime/text/tokenizer.hpp"

namespace tutti::text {

// Text is cut at control tokens (when parsed) and at added tokens; each stretch between them is
// encoded by libsentencepiece. Whether a stretch after a token gets the dummy prefix "▁" is a
// matter of "legacy" in tokenizer_config.json, as in transformers' LlamaTokenizer: true, each
// stretch does (as if it were a text of its own, which is also what Meta's and Mistral's own code
// does); false, only a stretch that begins the text does. Without the key: true. Errors:
// ModelFileError where the bytes are no such model.
std::unique_ptr<Tokenizer> tokenizer_from_sentencepiece(std::string_view model,
                                                        const SideFiles& files);

}  // namespace tutti::text
