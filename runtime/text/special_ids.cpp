#include "runtime/text/special_ids.hpp"

#include <algorithm>
#include <array>

namespace tutti::text {
namespace {

constexpr std::array<std::string_view, 7> kTurnEnds = {
    "<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<end_of_turn>", "<|end|>", "<|eot|>", "<turn|>"};

Json parse_asset(const TokenizerAssets& assets, const char* name) {
  const auto found = assets.find(name);
  if (found == assets.end()) return nullptr;
  Json json = parse_json(found->second, name);
  return json.is_object() ? json : Json();
}

// A token is named by its text or by an object that holds it as "content".
std::optional<TokenId> named_token(const Json& file, const char* key, const Tokenizer& tokenizer) {
  if (!file.is_object()) return std::nullopt;
  const auto found = file.find(key);
  if (found == file.end()) return std::nullopt;
  if (found->is_string()) return tokenizer.id_of(found->get<std::string>());
  if (!found->is_object() || !found->contains("content")) return std::nullopt;
  const Json& content = found->at("content");
  return content.is_string() ? tokenizer.id_of(content.get<std::string>()) : std::nullopt;
}

// One id, a list of them, or none.
std::vector<TokenId> listed_ids(const Json& file, const char* key) {
  std::vector<TokenId> ids;
  if (!file.is_object() || !file.contains(key) || file.at(key).is_null()) return ids;
  const std::string where = std::string("generation_config.json: ") + key;
  const Json& value = file.at(key);
  if (!value.is_array()) return {token_id_of(value, where)};
  for (const Json& id : value) ids.push_back(token_id_of(id, where));
  return ids;
}

void add_unique(std::vector<TokenId>& ids, TokenId id) {
  if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
}

void resolve(std::optional<TokenId>& id, const SideFiles& files, const char* name,
             const char* generation_key, const Tokenizer& tokenizer) {
  if (const auto mapped = named_token(files.special_tokens_map, name, tokenizer)) id = mapped;
  if (const auto named = named_token(files.tokenizer_config, name, tokenizer)) id = named;
  if (id || generation_key == nullptr) return;
  const std::vector<TokenId> listed = listed_ids(files.generation_config, generation_key);
  if (!listed.empty()) id = listed.front();
}

}  // namespace

SideFiles SideFiles::from_assets(const TokenizerAssets& assets) {
  return {.tokenizer_config = parse_asset(assets, "tokenizer_config.json"),
          .special_tokens_map = parse_asset(assets, "special_tokens_map.json"),
          .generation_config = parse_asset(assets, "generation_config.json")};
}

SpecialIds complete_special_ids(SpecialIds special, const SideFiles& files,
                                const Tokenizer& tokenizer) {
  resolve(special.bos, files, "bos_token", "bos_token_id", tokenizer);
  resolve(special.unk, files, "unk_token", nullptr, tokenizer);
  resolve(special.pad, files, "pad_token", "pad_token_id", tokenizer);

  std::optional<TokenId> named_eos;
  resolve(named_eos, files, "eos_token", nullptr, tokenizer);
  std::vector<TokenId> eos;
  if (named_eos) eos.push_back(*named_eos);
  for (const TokenId id : special.eos) add_unique(eos, id);
  const std::vector<TokenId> generation = listed_ids(files.generation_config, "eos_token_id");
  for (const TokenId id : generation) add_unique(eos, id);
  if (generation.empty()) {
    for (const std::string_view name : kTurnEnds) {
      const auto id = tokenizer.id_of(name);
      if (id && tokenizer.is_special(*id)) add_unique(eos, *id);
    }
  }
  special.eos = std::move(eos);

  const Json& config = files.tokenizer_config;
  if (config.is_object()) {
    const std::string where = "tokenizer_config.json";
    special.add_bos = bool_member(config, "add_bos_token", special.add_bos, where);
    special.add_eos = bool_member(config, "add_eos_token", special.add_eos, where);
  }
  special.add_bos = special.add_bos && special.bos;
  special.add_eos = special.add_eos && !special.eos.empty();
  return special;
}

}  // namespace tutti::text
