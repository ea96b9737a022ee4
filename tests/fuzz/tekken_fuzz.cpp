// Feeds a tekken.json and, after the first NUL byte, a text for it. Whatever the bytes are, the
// file is read or refused with ModelFileError, as it is and with the 256 ranks of single bytes put
// before its vocabulary, which no mutation would bring together.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "kernels/error.hpp"
#include "tests/fuzz/byte_level_checks.hpp"

namespace {

void read(const std::string& file, std::string_view text) {
  try {
    tutti::fuzz::check_byte_level(*tutti::make_tokenizer({{"tekken.json", file}}), text, true);
  } catch (const tutti::ModelFileError& error) {
    if (std::string_view(error.what()).empty()) std::abort();
  }
}

// The file with the bytes before its vocabulary; empty where it has none.
std::string with_bytes(const std::string& file) {
  auto json = nlohmann::json::parse(file, nullptr, false);
  if (!json.is_object() || !json.contains("vocab") || !json["vocab"].is_array()) return {};
  auto vocab = nlohmann::json::array();
  for (unsigned b = 0; b < 256; ++b) {
    vocab.push_back({{"rank", b}, {"token_bytes", tutti::fuzz::base64_of(b)}});
  }
  for (auto& token : json["vocab"]) vocab.push_back(std::move(token));
  json["vocab"] = std::move(vocab);
  return json.dump();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\0');
  const std::string file(input.substr(0, end));
  const std::string_view rest = end == std::string_view::npos ? "" : input.substr(end + 1);
  const std::string_view text = rest.substr(0, 2048);
  read(file, text);
  if (const std::string more = with_bytes(file); !more.empty()) read(more, text);
  return 0;
}
