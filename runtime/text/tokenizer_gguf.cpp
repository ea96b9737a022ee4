#include "runtime/text/tokenizer_gguf.hpp"

#include <fmt/format.h>

#include <cmath>

#include "kernels/error.hpp"
#include "runtime/text/bpe_model.hpp"
#include "runtime/text/gguf_pre_tokenizers.hpp"
#include "runtime/text/pattern.hpp"
#include "runtime/text/pipeline_tokenizer.hpp"
#include "runtime/text/score_model.hpp"

namespace tutti::text {
namespace {

const std::string kWhere = "gguf.json";

enum TokenType : std::int64_t { normal = 1, unknown, control, user_defined, unused, byte };

struct GgufVocabulary {
  std::vector<std::string> tokens;
  std::vector<std::int64_t> types;  // as long as tokens
};

void check_length(const char* key, std::size_t found, std::size_t wanted) {
  if (found == wanted) return;
  throw ModelFileError(
      fmt::format("{}: {} has {} entries, tokenizer.ggml.tokens {}", kWhere, key, found, wanted));
}

GgufVocabulary vocabulary_from(const Json& json) {
  GgufVocabulary vocabulary;
  for (const Json& token : array_member(json, "tokenizer.ggml.tokens", kWhere)) {
    if (!token.is_string()) {
      throw ModelFileError(kWhere + ": tokenizer.ggml.tokens wants strings");
    }
    vocabulary.tokens.push_back(token.get<std::string>());
  }
  if (vocabulary.tokens.empty()) throw ModelFileError(kWhere + ": tokenizer.ggml.tokens is empty");
  vocabulary.types.assign(vocabulary.tokens.size(), normal);
  if (member(json, "tokenizer.ggml.token_type", kWhere).is_null()) return vocabulary;
  const Json& types = array_member(json, "tokenizer.ggml.token_type", kWhere);
  check_length("tokenizer.ggml.token_type", types.size(), vocabulary.tokens.size());
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (!types[i].is_number_integer()) {
      throw ModelFileError(kWhere + ": tokenizer.ggml.token_type wants whole numbers");
    }
    vocabulary.types[i] = types[i].get<std::int64_t>();
  }
  return vocabulary;
}

// Control tokens are special; user-defined ones are recognised in any text.
std::vector<AddedToken> added_tokens_from(const GgufVocabulary& vocabulary, bool byte_level) {
  std::vector<AddedToken> added;
  const Pattern metaspace(std::string("▁"));
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const std::int64_t type = vocabulary.types[i];
    const bool is_unk = type == unknown && !byte_level;
    if (type != control && type != user_defined && !is_unk) continue;
    AddedToken token;
    token.id = static_cast<TokenId>(i);
    token.special = type != user_defined;
    token.content = vocabulary.tokens[i];
    if (type == user_defined && !byte_level)
      token.content = metaspace.replace_all(token.content, " ");
    if (!token.content.empty()) added.push_back(std::move(token));
  }
  return added;
}

Vocabulary spellings(const GgufVocabulary& vocabulary) {
  Vocabulary out;
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    out.add(vocabulary.tokens[i], static_cast<TokenId>(i), kWhere);
  }
  return out;
}

PipelineStages byte_level_stages(const Json& json, const GgufVocabulary& vocabulary,
                                 SpecialIds& special) {
  if (member(json, "tokenizer.ggml.pre", kWhere).is_null()) {
    throw ModelFileError(kWhere +
                         ": tokenizer.ggml.pre is missing, as in files from before May 2024: how "
                         "the model cuts text is not known; import its Hugging Face folder, or a "
                         "file that was converted since");
  }
  const GgufPreTokenizer& pre =
      gguf_pre_tokenizer(string_member(json, "tokenizer.ggml.pre", kWhere));
  Merges merges;
  for (const Json& merge : array_member(json, "tokenizer.ggml.merges", kWhere)) {
    const std::string line = merge.is_string() ? merge.get<std::string>() : std::string();
    const std::size_t space = line.find(' ', 1);
    if (line.empty() || space == std::string::npos) {
      throw ModelFileError(kWhere + ": tokenizer.ggml.merges wants strings \"left right\"");
    }
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  special.add_bos = pre.add_bos;
  PipelineStages stages;
  if (pre.nfc) stages.normalizer = make_normalizer({{"type", "NFC"}}, kWhere);
  stages.pre_tokenizer = make_byte_level_pre_tokenizer(pre.patterns, kWhere);
  BpeOptions options;
  options.ignore_merges = pre.ignore_merges;
  stages.model = std::make_unique<BpeModel>(spellings(vocabulary), merges, options, kWhere);
  stages.decoder = make_decoder({{"type", "ByteLevel"}}, kWhere);
  stages.added = added_tokens_from(vocabulary, true);
  stages.kind = fmt::format("byte-level BPE, {} (GGUF)", pre.name);
  return stages;
}

std::vector<float> scores_from(const Json& json, std::size_t count) {
  const Json& list = array_member(json, "tokenizer.ggml.scores", kWhere);
  check_length("tokenizer.ggml.scores", list.size(), count);
  std::vector<float> scores;
  for (const Json& score : list) {
    const float value = score.is_number() ? score.get<float>() : NAN;
    if (!std::isfinite(value)) {
      throw ModelFileError(kWhere + ": tokenizer.ggml.scores wants finite numbers");
    }
    scores.push_back(value);
  }
  return scores;
}

PipelineStages sentencepiece_stages(const Json& json, const GgufVocabulary& vocabulary,
                                    SpecialIds& special) {
  const bool prefix = bool_member(json, "tokenizer.ggml.add_space_prefix", true, kWhere);
  special.add_bos = true;
  StringIds joinable;
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const std::int64_t type = vocabulary.types[i];
    if (type == unknown && !special.unk) special.unk = static_cast<TokenId>(i);
    if (type != normal && type != user_defined) continue;
    joinable.try_emplace(vocabulary.tokens[i], static_cast<TokenId>(i));
  }
  Json steps = Json::array();
  if (prefix) steps.push_back({{"type", "Prepend"}, {"prepend", "▁"}});
  steps.push_back({{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}});
  PipelineStages stages;
  stages.normalizer = make_normalizer({{"type", "Sequence"}, {"normalizers", steps}}, kWhere);
  stages.model =
      std::make_unique<ScoreModel>(spellings(vocabulary), std::move(joinable),
                                   scores_from(json, vocabulary.tokens.size()), special.unk);
  stages.decoder = make_sentencepiece_decoder(prefix);
  stages.added = added_tokens_from(vocabulary, false);
  stages.kind = "SentencePiece BPE (GGUF)";
  return stages;
}

std::optional<TokenId> id_member(const Json& json, const char* key, std::size_t count) {
  const Json& value = member(json, key, kWhere);
  if (value.is_null()) return std::nullopt;
  const TokenId id = token_id_of(value, kWhere + ": " + key);
  if (static_cast<std::size_t>(id) < count) return id;
  throw ModelFileError(
      fmt::format("{}: {} is {}, the vocabulary has {} tokens", kWhere, key, id, count));
}

}  // namespace

std::unique_ptr<Tokenizer> tokenizer_from_gguf(std::string_view text, const SideFiles& files) {
  const Json json = parse_json(text, kWhere);
  const std::string model = string_member(json, "tokenizer.ggml.model", kWhere);
  const GgufVocabulary vocabulary = vocabulary_from(json);
  const std::size_t count = vocabulary.tokens.size();
  SpecialIds special;
  special.bos = id_member(json, "tokenizer.ggml.bos_token_id", count);
  special.unk = id_member(json, "tokenizer.ggml.unknown_token_id", count);
  special.pad = id_member(json, "tokenizer.ggml.padding_token_id", count);
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                          "tokenizer.ggml.eom_token_id"}) {
    if (const auto id = id_member(json, key, count)) special.eos.push_back(*id);
  }
  PipelineStages stages;
  if (model == "gpt2") {
    stages = byte_level_stages(json, vocabulary, special);
  } else if (model == "llama") {
    stages = sentencepiece_stages(json, vocabulary, special);
  } else {
    throw ModelFileError(fmt::format(
        "{}: tokenizer.ggml.model is \"{}\", which is not supported (known: gpt2, llama)", kWhere,
        model));
  }
  special.add_bos = bool_member(json, "tokenizer.ggml.add_bos_token", special.add_bos, kWhere);
  special.add_eos = bool_member(json, "tokenizer.ggml.add_eos_token", special.add_eos, kWhere);
  auto tokenizer = std::make_unique<PipelineTokenizer>(std::move(stages));
  tokenizer->set_special(complete_special_ids(std::move(special), files, *tokenizer));
  return tokenizer;
}

}  // namespace tutti::text
