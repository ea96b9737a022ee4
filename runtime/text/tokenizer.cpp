#include "runtime/text/tokenizer.hpp"

#include <fmt/format.h>

#include "kernels/error.hpp"
#include "runtime/text/special_ids.hpp"
#include "runtime/text/tokenizer_gguf.hpp"
#include "runtime/text/tokenizer_json.hpp"
#include "runtime/text/tokenizer_sentencepiece.hpp"
#include "runtime/text/tokenizer_tiktoken.hpp"

namespace tutti {

std::unique_ptr<Tokenizer> make_tokenizer(const TokenizerAssets& assets) {
  const auto asset = [&](const char* name) -> const std::string* {
    const auto found = assets.find(name);
    return found == assets.end() ? nullptr : &found->second;
  };
  const char* entry = "tokenizer";
  try {
    const auto files = text::SideFiles::from_assets(assets);
    if (const std::string* json = asset(entry = "tokenizer.json")) {
      return text::tokenizer_from_json(*json, files);
    }
    if (const std::string* json = asset(entry = "tekken.json")) {
      return text::tokenizer_from_tekken(*json, files);
    }
    if (const std::string* model = asset(entry = "tokenizer.model")) {
      return text::is_tiktoken(*model) ? text::tokenizer_from_tiktoken(*model, entry, files)
                                       : text::tokenizer_from_sentencepiece(*model, files);
    }
    for (const auto& [name, ranks] : assets) {
      if (name.ends_with(".tiktoken")) return text::tokenizer_from_tiktoken(ranks, name, files);
    }
    if (const std::string* json = asset(entry = "gguf.json")) {
      return text::tokenizer_from_gguf(*json, files);
    }
  } catch (const text::Json::exception& error) {
    // What the readers do not look at closely enough still ends as what it is: a bad file.
    throw ModelFileError(fmt::format("{}: {}", entry, error.what()));
  }
  throw ModelFileError(
      "tokenizer: wants tokenizer.json, tekken.json, tokenizer.model, qwen.tiktoken or gguf.json, "
      "found none of them; import the model from a folder that has one");
}

}  // namespace tutti
