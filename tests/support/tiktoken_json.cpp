#include "tests/support/tiktoken_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "kernels/error.hpp"

namespace tutti::support {
namespace {

using Json = nlohmann::json;

constexpr const char* kPattern =
    R"re((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)re"
    R"re( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";

struct Token {
  std::string bytes;
  int rank;
};

std::string from_base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0, have = 0;
  for (const char c : text) {
    if (c == '=') break;
    const std::size_t digit = kDigits.find(c);
    if (digit == kDigits.npos) throw ModelFileError(fmt::format("no base64: '{}'", text));
    bits = (bits << 6) | static_cast<unsigned>(digit);
    have += 6;
    if (have >= 8) out += static_cast<char>(bits >> (have -= 8));
  }
  return out;
}

std::vector<Token> parse(std::string_view text) {
  std::vector<Token> tokens;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.empty()) continue;
    const std::size_t space = line.find(' ');
    int rank = -1;
    if (space != line.npos) {
      std::from_chars(line.data() + space + 1, line.data() + line.size(), rank);
    }
    if (rank < 0) throw ModelFileError(fmt::format("wanted 'base64 rank', found '{}'", line));
    tokens.push_back({from_base64(line.substr(0, space)), rank});
  }
  return tokens;
}

// Bytes as the printable characters that byte-level vocabularies write them with, in UTF-8.
std::string spelled(std::string_view bytes) {
  static const auto alphabet = [] {
    std::array<std::string, 256> letters;
    unsigned next = 256;
    for (unsigned byte = 0; byte < 256; ++byte) {
      const bool kept = (byte >= 33 && byte < 127) || (byte >= 161 && byte < 256 && byte != 173);
      const unsigned code = kept ? byte : next++;
      letters[byte] = code < 128 ? std::string(1, static_cast<char>(code))
                                 : std::string{static_cast<char>(0xc0 | (code >> 6)),
                                               static_cast<char>(0x80 | (code & 0x3f))};
    }
    return letters;
  }();
  std::string out;
  for (const char c : bytes) out += alphabet[static_cast<unsigned char>(c)];
  return out;
}

Json merges_of(const std::vector<Token>& tokens) {
  std::unordered_map<std::string_view, int> ranks;
  for (const Token& token : tokens) ranks.emplace(token.bytes, token.rank);
  std::vector<std::tuple<int, int, int, Json>> merges;
  for (const Token& token : tokens) {
    const std::string_view bytes = token.bytes;
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
      const auto left = ranks.find(bytes.substr(0, cut)), right = ranks.find(bytes.substr(cut));
      if (left == ranks.end() || right == ranks.end()) continue;
      merges.emplace_back(token.rank, left->second, right->second,
                          Json::array({spelled(left->first), spelled(right->first)}));
    }
  }
  std::ranges::sort(merges, {}, [](const auto& merge) {
    return std::tuple(std::get<0>(merge), std::get<1>(merge), std::get<2>(merge));
  });
  Json out = Json::array();
  for (auto& merge : merges) out.push_back(std::move(std::get<3>(merge)));
  return out;
}

Json added_tokens(int first) {
  std::vector<std::string> names = {"<|begin_of_text|>", "<|end_of_text|>"};
  int reserved = 0;
  const auto reserve = [&](int until) {
    while (reserved < until) {
      names.push_back(fmt::format("<|reserved_special_token_{}|>", reserved++));
    }
  };
  reserve(4);
  names.insert(names.end(), {"<|start_header_id|>", "<|end_header_id|>"});
  reserve(5);
  names.emplace_back("<|eot_id|>");
  reserve(251);
  Json out = Json::array();
  for (const std::string& name : names) {
    out.push_back({{"id", first++},
                   {"content", name},
                   {"single_word", false},
                   {"lstrip", false},
                   {"rstrip", false},
                   {"normalized", false},
                   {"special", true}});
  }
  return out;
}

}  // namespace

std::string llama3_tokenizer_json(std::string_view tiktoken) {
  const std::vector<Token> tokens = parse(tiktoken);
  Json vocabulary = Json::object();
  for (const Token& token : tokens) vocabulary[spelled(token.bytes)] = token.rank;
  const Json split = {{"type", "Split"},
                      {"pattern", {{"Regex", kPattern}}},
                      {"behavior", "Isolated"},
                      {"invert", false}};
  const Json bytes = {{"type", "ByteLevel"},
                      {"add_prefix_space", false},
                      {"trim_offsets", true},
                      {"use_regex", false}};
  const Json model = {{"type", "BPE"},
                      {"dropout", nullptr},
                      {"unk_token", nullptr},
                      {"continuing_subword_prefix", nullptr},
                      {"end_of_word_suffix", nullptr},
                      {"fuse_unk", false},
                      {"byte_fallback", false},
                      {"ignore_merges", true},
                      {"vocab", std::move(vocabulary)},
                      {"merges", merges_of(tokens)}};
  return Json{
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", added_tokens(static_cast<int>(tokens.size()))},
      {"normalizer", nullptr},
      {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", Json::array({split, bytes})}}},
      {"post_processor", nullptr},
      {"decoder", bytes},
      {"model", model}}
      .dump();
}

}  // namespace tutti::support
