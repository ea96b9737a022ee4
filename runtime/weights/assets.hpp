// The tokenizer's files as they travel: from a source into the model file, from rank 0 to a
// tokenizer. Bytes by name; runtime/text gives them meaning.
#pragma once

#include <map>
#include <string>

namespace tutti {

// Names in use (docs/model_file.md): "tokenizer.json", "tekken.json", "tokenizer.model",
// "*.tiktoken", "tokenizer_config.json", "generation_config.json", "special_tokens_map.json" as
// found beside the weights; "gguf.json" the `tokenizer.*` metadata of a GGUF file as one JSON
// object; "chat_template" the Jinja text.
using TokenizerAssets = std::map<std::string, std::string>;

}  // namespace tutti
