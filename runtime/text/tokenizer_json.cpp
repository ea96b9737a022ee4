#include "runtime/text/tokenizer_json.hpp"

#include <fmt/format.h>

#include <cmath>

#include "kernels/error.hpp"
#include "runtime/text/bpe_model.hpp"
#include "runtime/text/pipeline_tokenizer.hpp"
#include "runtime/text/unigram_model.hpp"

namespace tutti::text {
namespace {

const std::string kModel = "tokenizer.json: model";

std::pair<std::string, std::string> merge_of(const Json& json) {
  if (json.is_array() && json.size() == 2 && json[0].is_string() && json[1].is_string()) {
    return {json[0].get<std::string>(), json[1].get<std::string>()};
  }
  if (json.is_string()) {
    const std::string line = json.get<std::string>();
    const std::size_t space = line.find(' ');
    if (space != std::string::npos && line.find(' ', space + 1) == std::string::npos) {
      return {line.substr(0, space), line.substr(space + 1)};
    }
  }
  throw ModelFileError(
      fmt::format("{}: a merge wants \"left right\" or [\"left\", \"right\"]", kModel));
}

std::string optional_string(const Json& json, const char* key) {
  return member(json, key, kModel).is_null() ? "" : string_member(json, key, kModel);
}

// Old files have no "type"; only a BPE has merges.
std::string type_of(const Json& json) {
  const bool named = !member(json, "type", kModel).is_null();
  const std::string type = named                     ? string_member(json, "type", kModel)
                           : json.contains("merges") ? "BPE"
                                                     : "none";
  if (type == "BPE" || type == "Unigram") return type;
  throw ModelFileError(
      fmt::format("{}: wants the type \"BPE\" or \"Unigram\", found \"{}\", which is not supported",
                  kModel, type));
}

// "vocab" is a list of [token, score], an id each.
std::unique_ptr<TokenModel> unigram_from(const Json& json) {
  Vocabulary vocabulary;
  std::vector<double> scores;
  for (const Json& entry : array_member(json, "vocab", kModel)) {
    const bool pair = entry.is_array() && entry.size() == 2 && entry[0].is_string() &&
                      entry[1].is_number() && std::isfinite(entry[1].get<double>());
    if (!pair) {
      throw ModelFileError(
          fmt::format("{}: vocab: wants [token, score], entry {} is not", kModel, scores.size()));
    }
    scores.push_back(entry[1].get<double>());
  }
  for (std::size_t id = scores.size(); id-- > 0;) {  // of equal tokens the last is found
    vocabulary.add(json.at("vocab")[id][0].get<std::string>(), static_cast<TokenId>(id), kModel);
  }
  const Json& unk = member(json, "unk_id", kModel);
  return std::make_unique<UnigramModel>(
      std::move(vocabulary), std::move(scores),
      unk.is_null() ? std::nullopt : std::optional(token_id_of(unk, kModel + ": unk_id")),
      bool_member(json, "byte_fallback", false, kModel), kModel);
}

std::unique_ptr<TokenModel> model_from(const Json& json) {
  if (type_of(json) == "Unigram") return unigram_from(json);
  const Json& vocab = member(json, "vocab", kModel);
  if (!vocab.is_object() || vocab.empty()) {
    throw ModelFileError(fmt::format("{}: \"vocab\" wants an object of tokens and ids", kModel));
  }
  Vocabulary vocabulary;
  for (const auto& [spelling, id] : vocab.items()) {
    vocabulary.add(spelling, token_id_of(id, kModel + ": vocab"), kModel);
  }
  Merges merges;
  for (const Json& merge : array_member(json, "merges", kModel)) {
    if (merge.is_string() && merge.get_ref<const std::string&>().starts_with("#version")) continue;
    merges.push_back(merge_of(merge));
  }
  BpeOptions options;
  if (!member(json, "unk_token", kModel).is_null()) {
    options.unk = string_member(json, "unk_token", kModel);
  }
  options.fuse_unk = bool_member(json, "fuse_unk", false, kModel);
  options.byte_fallback = bool_member(json, "byte_fallback", false, kModel);
  options.ignore_merges = bool_member(json, "ignore_merges", false, kModel);
  options.subword_prefix = optional_string(json, "continuing_subword_prefix");
  options.word_suffix = optional_string(json, "end_of_word_suffix");
  return std::make_unique<BpeModel>(std::move(vocabulary), merges, std::move(options), kModel);
}

// The file's added tokens, and those that only tokenizer_config.json knows. A token that the
// vocabulary has too takes the vocabulary's id, as in the reference.
std::vector<AddedToken> added_tokens_from(const Json& json, const Json& config,
                                          const Vocabulary& vocabulary) {
  std::vector<AddedToken> added;
  const auto add = [&](const Json& entry, TokenId id, const std::string& where) {
    AddedToken token = AddedToken::from_json(entry, id, where);
    token.id = vocabulary.find(token.content).value_or(token.id);
    if (!token.content.empty()) added.push_back(std::move(token));
  };
  const std::string file = "tokenizer.json";
  const std::string where = file + ": added_tokens";
  if (!member(json, "added_tokens", file).is_null()) {
    for (const Json& entry : array_member(json, "added_tokens", file)) {
      add(entry, token_id_of(member(entry, "id", where), where), where);
    }
  }
  if (!config.is_object() || !config.contains("added_tokens_decoder")) return added;
  const std::string config_where = "tokenizer_config.json: added_tokens_decoder";
  const std::size_t from_json = added.size();
  for (const auto& [key, entry] : config.at("added_tokens_decoder").items()) {
    const std::string content = string_member(entry, "content", config_where);
    bool known = false;
    for (std::size_t i = 0; i < from_json && !known; ++i) known = added[i].content == content;
    if (!known) add(entry, token_id_of(parse_json(key, config_where), config_where), config_where);
  }
  return added;
}

// Which of bos and eos the post-processor puts around one sequence.
class TemplateReader {
 public:
  TemplateReader(const PipelineTokenizer& tokenizer, SpecialIds& special)
      : tokenizer_(tokenizer), special_(special) {}

  void read(const Json& json, int depth = 0) {
    if (json.is_null() || depth > 4) return;
    const std::string type = string_member(json, "type", kWhere);
    if (type == "Sequence") {
      for (const Json& step : array_member(json, "processors", kWhere)) read(step, depth + 1);
    } else if (type == "TemplateProcessing") {
      template_pieces(array_member(json, "single", kWhere));
    } else if (type == "BertProcessing" || type == "RobertaProcessing") {
      surround(json);
    } else if (type != "ByteLevel") {
      throw ModelFileError(
          fmt::format("{}: the post-processor \"{}\" is not supported (known: ByteLevel, "
                      "TemplateProcessing, BertProcessing, RobertaProcessing, Sequence)",
                      kWhere, type));
    }
  }

 private:
  inline static const std::string kWhere = "tokenizer.json: post_processor";

  void template_pieces(const Json& pieces) {
    bool after_text = false;
    for (const Json& piece : pieces) {
      if (!member(piece, "Sequence", kWhere).is_null()) {
        after_text = true;
        continue;
      }
      const std::string name = string_member(member(piece, "SpecialToken", kWhere), "id", kWhere);
      mark(name, after_text);
    }
  }

  void surround(const Json& json) {
    for (const char* key : {"cls", "sep"}) {
      const Json& pair = member(json, key, kWhere);
      if (pair.is_array() && !pair.empty() && pair[0].is_string()) {
        mark(pair[0].get<std::string>(), key[0] == 's');
      }
    }
  }

  void mark(const std::string& name, bool after_text) {
    const auto id = tokenizer_.id_of(name);
    if (!id) return;
    if (after_text) {
      special_.add_eos = true;
      if (special_.eos.empty()) special_.eos.push_back(*id);
    } else {
      special_.add_bos = true;
      if (!special_.bos) special_.bos = *id;
    }
  }

  const PipelineTokenizer& tokenizer_;
  SpecialIds& special_;
};

std::string kind_of(const Json& model, const Json& decoder) {
  if (type_of(model) == "Unigram") return "Unigram (tokenizer.json)";
  const bool byte_level =
      decoder.dump(-1, ' ', false, Json::error_handler_t::replace).find("\"ByteLevel\"") !=
      std::string::npos;
  return byte_level ? "byte-level BPE (tokenizer.json)" : "BPE (tokenizer.json)";
}

}  // namespace

std::unique_ptr<Tokenizer> tokenizer_from_json(std::string_view text, const SideFiles& files) {
  const Json json = parse_json(text, "tokenizer.json");
  const auto part = [&](const char* key) -> const Json& {
    return member(json, key, "tokenizer.json");
  };
  PipelineStages stages;
  stages.normalizer = make_normalizer(part("normalizer"), "tokenizer.json: normalizer");
  stages.pre_tokenizer = make_pre_tokenizer(part("pre_tokenizer"), "tokenizer.json: pre_tokenizer");
  stages.model = model_from(part("model"));
  stages.decoder = make_decoder(part("decoder"), "tokenizer.json: decoder");
  stages.added = added_tokens_from(json, files.tokenizer_config, stages.model->vocabulary());
  stages.kind = kind_of(part("model"), part("decoder"));
  auto tokenizer = std::make_unique<PipelineTokenizer>(std::move(stages));
  SpecialIds special;
  TemplateReader(*tokenizer, special).read(part("post_processor"));
  const Json& unk = member(part("model"), "unk_token", kModel);
  if (unk.is_string()) special.unk = tokenizer->id_of(unk.get<std::string>());
  const Json& unk_id = member(part("model"), "unk_id", kModel);
  if (!unk_id.is_null()) special.unk = token_id_of(unk_id, kModel + ": unk_id");
  tokenizer->set_special(complete_special_ids(std::move(special), files, *tokenizer));
  return tokenizer;
}

}  // namespace tutti::text
