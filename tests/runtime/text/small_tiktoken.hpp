// Small vocabularies in tiktoken's and in tekken's format.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/runtime/text/small_tokenizer.hpp"

namespace tutti {

inline std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::string_view three = bytes.substr(i, 3);
    unsigned bits = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      bits = bits << 8U | (k < three.size() ? static_cast<unsigned char>(three[k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += k <= three.size() ? kDigits[bits >> (18 - 6 * k) & 63U] : '=';
    }
  }
  return out;
}

// The bytes 0 to 255 in their order, then "ab" (256), "bc" (257), "abc" (258), " a" (259) and
// "\xC3\xA9", which is é (260).
inline std::vector<std::string> small_ranks() {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  tokens.insert(tokens.end(), {"ab", "bc", "abc", " a", "\xC3\xA9"});
  return tokens;
}

inline std::string tiktoken_file(const std::vector<std::string>& tokens) {
  std::string file;
  for (std::size_t rank = 0; rank < tokens.size(); ++rank) {
    file += fmt::format("{} {}\n", base64(tokens[rank]), rank);
  }
  return file;
}

// A tekken.json of `tokens` and three control tokens (<unk>, <s>, </s>), its words split off with
// the space before them.
inline Json tekken_json(const std::vector<std::string>& tokens = small_ranks()) {
  Json vocab = Json::array();
  for (std::size_t rank = 0; rank < tokens.size(); ++rank) {
    vocab.push_back(
        {{"rank", rank}, {"token_bytes", base64(tokens[rank])}, {"token_str", nullptr}});
  }
  Json special = Json::array();
  for (const char* token : {"<unk>", "<s>", "</s>"}) {
    special.push_back({{"rank", special.size()}, {"token_str", token}, {"is_control", true}});
  }
  return {{"config",
           {{"pattern", R"( ?\p{L}+|\s+|[^\s\p{L}]+)"},
            {"num_vocab_tokens", tokens.size()},
            {"default_vocab_size", tokens.size() + 3},
            {"default_num_special_tokens", 3},
            {"version", "v11"}}},
          {"vocab", std::move(vocab)},
          {"special_tokens", std::move(special)}};
}

}  // namespace tutti
