// Small vocabularies, written in the test that uses them.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/tokenizer.hpp"

namespace tutti {

using Json = nlohmann::json;
using Ids = std::vector<TokenId>;

// "abcdefgh▁ " are the ids 0 to 9.
inline Json letters() {
  Json vocab;
  int id = 0;
  for (const char* letter : {"a", "b", "c", "d", "e", "f", "g", "h", "▁", " "})
    vocab[letter] = id++;
  return vocab;
}

inline Json with(Json json, const Json& more) {
  json.update(more);
  return json;
}

// A tokenizer.json: `model` overrides the members of its model, `parts` those beside it.
inline std::string tokenizer_json(const Json& model = Json::object(),
                                  const Json& parts = Json::object()) {
  Json json = {{"version", "1.0"}, {"added_tokens", Json::array()}};
  json["model"] = with({{"type", "BPE"}, {"vocab", letters()}, {"merges", Json::array()}}, model);
  json.update(parts);
  return json.dump();
}

inline std::unique_ptr<Tokenizer> make_small(const Json& model = Json::object(),
                                             const Json& parts = Json::object()) {
  return make_tokenizer({{"tokenizer.json", tokenizer_json(model, parts)}});
}

inline Json added(int id, const std::string& content, const Json& flags = Json::object()) {
  return with({{"id", id}, {"content", content}, {"special", false}, {"normalized", false}}, flags);
}

inline Ids encode(const Tokenizer& tokenizer, std::string_view text,
                  SpecialTokens special = SpecialTokens::parsed) {
  return tokenizer.encode(text, special);
}

}  // namespace tutti
