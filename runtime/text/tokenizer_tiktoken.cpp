#include "runtime/text/tokenizer_tiktoken.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_map>

#include "kernels/error.hpp"
#include "runtime/text/byte_alphabet.hpp"
#include "runtime/text/gguf_pre_tokenizers.hpp"
#include "runtime/text/pipeline_tokenizer.hpp"
#include "runtime/text/rank_model.hpp"

namespace tutti::text {
namespace {

const std::string kTekken = "tekken.json";
constexpr TokenId kLlama3Ranks = 128000;
constexpr std::size_t kLlama3Controls = 256;
constexpr std::size_t kQwenExtras = 205;
// The control tokens of tekken files up to v7, which need not name them.
constexpr std::array<const char*, 20> kTekkenControls = {"<unk>",
                                                         "<s>",
                                                         "</s>",
                                                         "[INST]",
                                                         "[/INST]",
                                                         "[AVAILABLE_TOOLS]",
                                                         "[/AVAILABLE_TOOLS]",
                                                         "[TOOL_RESULTS]",
                                                         "[/TOOL_RESULTS]",
                                                         "[TOOL_CALLS]",
                                                         "[IMG]",
                                                         "<pad>",
                                                         "[IMG_BREAK]",
                                                         "[IMG_END]",
                                                         "[PREFIX]",
                                                         "[MIDDLE]",
                                                         "[SUFFIX]",
                                                         "[SYSTEM_PROMPT]",
                                                         "[/SYSTEM_PROMPT]",
                                                         "[TOOL_CONTENT]"};

// The bytes, nothing where it is no base64.
std::optional<std::string> from_base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = (bits << 6U | static_cast<std::uint32_t>(digit)) & 0xffffU;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<char>(bits >> static_cast<unsigned>(count) & 0xffU));
  }
  const bool rest_is_zero = (bits & ((1U << static_cast<unsigned>(count)) - 1U)) == 0;
  if (bytes.empty() || count >= 6 || !rest_is_zero) return std::nullopt;
  return bytes;
}

// Collects the ranks; every id but the control tokens' is taken once.
class Ranks {
 public:
  // `offset`: the id of rank 0.
  Ranks(std::string where, TokenId offset) : where_(std::move(where)), offset_(offset) {}

  void add(std::string_view base64, std::int64_t rank) {
    const auto bytes = from_base64(base64);
    if (!bytes) {
      throw ModelFileError(fmt::format("{}: rank {}: wants a token in base64, found '{}'", where_,
                                       rank, base64.substr(0, 40)));
    }
    if (rank != count_) {
      const std::string wanted = count_ == 0 ? "to begin with 0" : "in order";
      const std::string after = count_ == 0 ? "" : fmt::format(" after {}", count_ - 1);
      throw ModelFileError(
          fmt::format("{}: wants the ranks {}, found {}{}", where_, wanted, rank, after));
    }
    std::string spelling;
    alphabet_.append_spelling(spelling, *bytes);
    if (vocabulary_.find(spelling)) {
      throw ModelFileError(fmt::format("{}: rank {}: the token is there twice", where_, rank));
    }
    vocabulary_.add(std::move(spelling), offset_ + static_cast<TokenId>(rank), where_);
    ++count_;
  }

  std::int64_t count() const { return count_; }

  Vocabulary take() {
    for (int byte = 0; byte < 256; ++byte) {
      std::string spelling;
      const char c = static_cast<char>(byte);
      alphabet_.append_spelling(spelling, std::string_view(&c, 1));
      if (vocabulary_.find(spelling)) continue;
      throw ModelFileError(fmt::format("{}: the byte {:#04x} has no token", where_, byte));
    }
    return std::move(vocabulary_);
  }

 private:
  std::string where_;
  TokenId offset_;
  std::int64_t count_ = 0;
  ByteAlphabet alphabet_;
  Vocabulary vocabulary_;
};

Ranks ranks_of(std::string_view file, const std::string& name) {
  Ranks ranks(name, 0);
  int number = 0;
  while (!file.empty()) {
    std::string_view line = file.substr(0, file.find('\n'));
    file.remove_prefix(std::min(line.size() + 1, file.size()));
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const std::size_t space = std::min(line.find(' '), line.size());
    std::int64_t rank = -1;
    const char* end = line.data() + line.size();
    const char* digits = std::min(line.data() + space + 1, end);
    const auto [stop, error] = std::from_chars(digits, end, rank);
    if (error != std::errc() || stop != end || rank < 0 || rank >= kMaxVocabulary) {
      throw ModelFileError(fmt::format("{}: line {} wants \"base64 rank\", found '{}'", name,
                                       number, line.substr(0, 40)));
    }
    ranks.add(line.substr(0, space), rank);
  }
  return ranks;
}

std::vector<std::string> llama3_controls() {
  std::vector<std::string> names = {"<|begin_of_text|>",
                                    "<|end_of_text|>",
                                    "<|reserved_special_token_0|>",
                                    "<|reserved_special_token_1|>",
                                    "<|finetune_right_pad_id|>",
                                    "<|step_id|>",
                                    "<|start_header_id|>",
                                    "<|end_header_id|>",
                                    "<|eom_id|>",
                                    "<|eot_id|>",
                                    "<|python_tag|>",
                                    "<|image|>"};
  for (int i = 2; names.size() < kLlama3Controls; ++i) {
    names.push_back(fmt::format("<|reserved_special_token_{}|>", i));
  }
  return names;
}

std::vector<std::string> qwen_controls() {
  std::vector<std::string> names = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  for (std::size_t i = 0; i < kQwenExtras; ++i) names.push_back(fmt::format("<|extra_{}|>", i));
  return names;
}

std::vector<AddedToken> control_tokens(const std::vector<std::string>& names, TokenId first) {
  std::vector<AddedToken> added;
  for (const std::string& name : names) {
    added.push_back({.id = first++, .content = name, .special = true});
  }
  return added;
}

// What tokenizer_config.json says of an id counts before the usual name.
void rename(std::vector<AddedToken>& added, const Json& config, std::int64_t ranks) {
  if (!config.is_object() || !config.contains("added_tokens_decoder")) return;
  const std::string where = "tokenizer_config.json: added_tokens_decoder";
  for (const auto& [key, entry] : config.at("added_tokens_decoder").items()) {
    AddedToken token =
        AddedToken::from_json(entry, token_id_of(parse_json(key, where), where), where);
    token.normalized = false;
    if (token.id < ranks) {
      throw ModelFileError(
          fmt::format("{}: '{}' has the id {}, wanted one from {} on: the ranks have those below",
                      where, token.content, token.id, ranks));
    }
    std::erase_if(added, [&](const AddedToken& other) {
      return other.id == token.id || other.content == token.content;
    });
    if (!token.content.empty()) added.push_back(std::move(token));
  }
}

std::unique_ptr<PipelineTokenizer> byte_level(Vocabulary vocabulary,
                                              std::unique_ptr<PreTokenizer> pre_tokenizer,
                                              std::vector<AddedToken> added, std::string kind,
                                              std::unique_ptr<Normalizer> normalizer = nullptr) {
  PipelineStages stages;
  stages.normalizer = std::move(normalizer);
  stages.pre_tokenizer = std::move(pre_tokenizer);
  stages.model = std::make_unique<RankModel>(std::move(vocabulary));
  stages.decoder = make_decoder({{"type", "ByteLevel"}}, kind);
  stages.added = std::move(added);
  stages.kind = std::move(kind);
  return std::make_unique<PipelineTokenizer>(std::move(stages));
}

// Whether the file names its control tokens, as it must after v7.
bool lists_controls(const Json& json) {
  if (!member(json, "special_tokens", kTekken).is_null()) return true;
  const Json& config = member(json, "config", kTekken);
  if (member(config, "version", kTekken + ": config").is_null()) return false;
  const std::string version = string_member(config, "version", kTekken + ": config");
  int number = 0;
  const char* end = version.data() + version.size();
  std::from_chars(std::min(version.data() + 1, end), end, number);
  if (number <= 7) return false;
  throw ModelFileError(
      fmt::format("{}: \"special_tokens\" wants an array in a file of version {}, found null",
                  kTekken, version));
}

std::vector<AddedToken> tekken_controls(const Json& json, std::int64_t count) {
  std::vector<std::string> names(static_cast<std::size_t>(count));
  const auto put = [&](std::int64_t id, std::string name) {
    if (id >= count) {
      throw ModelFileError(
          fmt::format("{}: special_tokens: '{}' has the rank {}, wanted one below {}", kTekken,
                      name, id, count));
    }
    std::string& place = names[static_cast<std::size_t>(id)];
    if (!place.empty()) {
      throw ModelFileError(fmt::format("{}: special_tokens: '{}' has the rank {}, which '{}' has",
                                       kTekken, name, id, place));
    }
    place = std::move(name);
  };
  if (lists_controls(json)) {
    for (const Json& token : array_member(json, "special_tokens", kTekken)) {
      const std::string where = kTekken + ": special_tokens";
      std::string name = string_member(token, "token_str", where);
      put(token_id_of(member(token, "rank", where), where), std::move(name));
    }
  } else {
    for (std::size_t i = 0; i < kTekkenControls.size(); ++i)
      put(static_cast<int>(i), kTekkenControls[i]);
  }
  std::unordered_map<std::string_view, std::size_t> ranks;
  for (std::size_t id = 0; id < names.size(); ++id) {
    if (names[id].empty()) names[id] = fmt::format("<SPECIAL_{}>", id);
    const auto [first, is_new] = ranks.try_emplace(names[id], id);
    if (is_new) continue;
    throw ModelFileError(fmt::format("{}: special_tokens: '{}' has the ranks {} and {}", kTekken,
                                     names[id], first->second, id));
  }
  return control_tokens(names, 0);
}

std::int64_t size_member(const Json& config, const char* key) {
  const auto size = int_member(config, key, kTekken + ": config");
  if (!size || *size < 0 || *size > kMaxVocabulary) {
    throw ModelFileError(
        fmt::format("{}: config: \"{}\" wants a number up to {}", kTekken, key, kMaxVocabulary));
  }
  return *size;
}

}  // namespace

bool is_tiktoken(std::string_view file) {
  const std::string_view line = file.substr(0, file.find('\n'));
  const std::size_t space = line.find(' ');
  return space != std::string_view::npos && line.size() < 200 &&
         from_base64(line.substr(0, space)).has_value();
}

std::unique_ptr<Tokenizer> tokenizer_from_tiktoken(std::string_view file, const std::string& name,
                                                   const SideFiles& files) {
  const bool qwen = name == "qwen.tiktoken";
  if (!qwen && name != "tokenizer.model") {
    throw ModelFileError(
        fmt::format("{}: which pattern goes with these ranks is not known (known: "
                    "qwen.tiktoken, Llama 3's tokenizer.model); use the model's "
                    "tokenizer.json",
                    name));
  }
  Ranks ranks = ranks_of(file, name);
  if (!qwen && ranks.count() != kLlama3Ranks) {
    throw ModelFileError(
        fmt::format("{}: a tiktoken vocabulary of {} ranks is not known (known: Llama "
                    "3's of {}); use the model's tokenizer.json",
                    name, ranks.count(), kLlama3Ranks));
  }
  auto added = control_tokens(qwen ? qwen_controls() : llama3_controls(),
                              static_cast<TokenId>(ranks.count()));
  rename(added, files.tokenizer_config, ranks.count());
  const GgufPreTokenizer& pre = gguf_pre_tokenizer(qwen ? "qwen2" : "llama-bpe");
  auto tokenizer = byte_level(ranks.take(), make_byte_level_pre_tokenizer(pre.patterns, name),
                              std::move(added), fmt::format("tiktoken ({})", name),
                              make_normalizer(qwen ? Json{{"type", "NFC"}} : Json(), name));
  SpecialIds special;
  if (!qwen) special.bos = tokenizer->id_of("<|begin_of_text|>");
  if (const auto end = tokenizer->id_of(qwen ? "<|endoftext|>" : "<|end_of_text|>")) {
    special.eos = {*end};
  }
  special.add_bos = !qwen;
  tokenizer->set_special(complete_special_ids(std::move(special), files, *tokenizer));
  return tokenizer;
}

std::unique_ptr<Tokenizer> tokenizer_from_tekken(std::string_view text, const SideFiles& files) {
  const Json json = parse_json(text, kTekken);
  const Json& config = member(json, "config", kTekken);
  const std::int64_t size = size_member(config, "default_vocab_size");
  const std::int64_t controls = size_member(config, "default_num_special_tokens");
  if (size < controls) {
    throw ModelFileError(
        fmt::format("{}: config: \"default_vocab_size\" wants {} or more, as many as there are "
                    "special tokens, found {}",
                    kTekken, controls, size));
  }
  Ranks ranks(kTekken, static_cast<TokenId>(controls));
  for (const Json& token : array_member(json, "vocab", kTekken)) {
    // The file has more ranks than the model has rows.
    if (ranks.count() >= size - controls) break;
    const std::string where = kTekken + ": vocab";
    const std::string bytes = string_member(token, "token_bytes", where);
    ranks.add(bytes, token_id_of(member(token, "rank", where), where));
  }
  if (ranks.count() != size - controls) {
    throw ModelFileError(
        fmt::format("{}: vocab has {} ranks, config wants {} beside {} special tokens", kTekken,
                    ranks.count(), size - controls, controls));
  }
  const std::string pattern = string_member(config, "pattern", kTekken + ": config");
  const std::array<std::string_view, 1> patterns = {pattern};
  Vocabulary vocabulary = ranks.take();
  auto tokenizer = byte_level(std::move(vocabulary),
                              make_byte_level_pre_tokenizer(patterns, kTekken + ": pattern"),
                              tekken_controls(json, controls), "tekken (tekken.json)");
  SpecialIds special;
  special.bos = tokenizer->id_of("<s>");
  if (const auto end = tokenizer->id_of("</s>")) special.eos = {*end};
  special.unk = tokenizer->id_of("<unk>");
  special.pad = tokenizer->id_of("<pad>");
  special.add_bos = true;
  tokenizer->set_special(complete_special_ids(std::move(special), files, *tokenizer));
  return tokenizer;
}

}  // namespace tutti::text
