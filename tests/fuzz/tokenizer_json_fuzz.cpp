// Feeds a tokenizer.json and, after the first NUL byte, a text for it. Whatever the bytes are, the
// file is read or refused with ModelFileError, and reading and streaming back hold together.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "kernels/error.hpp"
#include "runtime/text/detokenizer.hpp"
#include "runtime/text/tokenizer.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\0');
  tutti::TokenizerAssets assets;
  assets["tokenizer.json"] = std::string(input.substr(0, end));
  const std::string_view rest = end == std::string_view::npos ? "" : input.substr(end + 1);
  const std::string_view text = rest.substr(0, 2048);
  try {
    const auto tokenizer = tutti::make_tokenizer(assets);
    for (const auto special : {tutti::SpecialTokens::as_text, tutti::SpecialTokens::parsed}) {
      const auto ids = tokenizer->encode(text, special);
      tutti::Detokenizer detokenizer(*tokenizer, false);
      std::string streamed;
      for (const tutti::TokenId id : ids) {
        if (id < 0 || id >= tokenizer->vocabulary_size()) std::abort();
        streamed += detokenizer.push(id);
      }
      (void)tokenizer->decode(ids, true);
    }
  } catch (const tutti::ModelFileError& error) {
    if (std::string_view(error.what()).empty()) std::abort();
  }
  return 0;
}
