// Feeds lines "base64 rank", after a NUL byte a text for them, and after another one a
// tokenizer_config.json. Whatever the bytes are, the file is read or refused with ModelFileError,
// by itself and behind the 256 ranks of single bytes, which no mutation would bring together.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/error.hpp"
#include "runtime/text/tokenizer_tiktoken.hpp"
#include "tests/fuzz/byte_level_checks.hpp"

namespace {

void read(const char* name, const std::string& file, std::string_view text,
          const std::string& config) {
  tutti::TokenizerAssets assets = {{name, file}};
  if (!config.empty()) assets["tokenizer_config.json"] = config;
  try {
    const auto tokenizer = tutti::make_tokenizer(assets);
    const bool ascii = std::ranges::all_of(text, [](char c) { return c > 0; });
    tutti::fuzz::check_byte_level(*tokenizer, text, ascii && config.empty());
  } catch (const tutti::ModelFileError& error) {
    if (std::string_view(error.what()).empty()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto next_part = [&] {
    const std::string_view part = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    return part;
  };
  const std::string file(next_part());
  const std::string_view text = next_part().substr(0, 2048);
  const std::string config(rest);
  static const std::string bytes = [] {
    std::string lines;
    for (unsigned b = 0; b < 256; ++b)
      lines += fmt::format("{} {}\n", tutti::fuzz::base64_of(b), b);
    return lines;
  }();
  read("qwen.tiktoken", file, text, config);
  read("qwen.tiktoken", bytes + file, text, config);
  // Never all of Llama 3's ranks: its other side is SentencePiece's, which is not ours to feed.
  if (tutti::text::is_tiktoken(file)) read("tokenizer.model", file, text, config);
  return 0;
}
