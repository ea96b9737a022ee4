#include "runtime/text/tokenizer_sentencepiece.hpp"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <algorithm>

#include "kernels/error.hpp"
#include "runtime/text/added_tokens.hpp"
#include "runtime/text/decoder.hpp"
#include "runtime/text/utf8.hpp"

namespace tutti::text {
namespace {

using sentencepiece::SentencePieceProcessor;
const std::string kWhere = "tokenizer.model";

// A protobuf message that is parsed twice is merged: this says normalizer_spec.add_dummy_prefix is
// false, whatever came before (ModelProto field 3, NormalizerSpec field 3).
constexpr std::string_view kNoDummyPrefix("\x1A\x02\x18\x00", 4);

std::unique_ptr<SentencePieceProcessor> load(const std::string& model) {
  if (model.empty()) throw ModelFileError(kWhere + ": wants a SentencePiece model, found nothing");
  auto processor = std::make_unique<SentencePieceProcessor>();
  const auto status = processor->LoadFromSerializedProto(model);
  if (!status.ok() || processor->GetPieceSize() <= 0) {
    throw ModelFileError(
        fmt::format("{}: not a SentencePiece model: {}", kWhere, status.ToString()));
  }
  return processor;
}

class SentencePieceTokenizer : public Tokenizer {
 public:
  SentencePieceTokenizer(std::string_view model, const SideFiles& files)
      : processor_(load(std::string(model))),
        added_(added_tokens_from(*processor_, files.tokenizer_config), nullptr) {
    std::vector<std::string> pieces;
    check(processor_->Encode("a", &pieces));
    const bool has_prefix = !pieces.empty() && pieces.front().starts_with("▁");
    const Json& config = files.tokenizer_config;
    const bool legacy =
        !config.is_object() || bool_member(config, "legacy", true, "tokenizer_config.json");
    if (has_prefix && !legacy) bare_ = load(std::string(model).append(kNoDummyPrefix));
    decoder_ = make_sentencepiece_decoder(has_prefix);
    vocabulary_size_ = processor_->GetPieceSize();
    for (const AddedToken& token : added_.all()) {
      vocabulary_size_ = std::max<std::int64_t>(vocabulary_size_, token.id + 1);
    }
    set_special(files);
  }

  std::vector<TokenId> encode(std::string_view text, SpecialTokens special) const override {
    std::string repaired;
    if (!is_valid_utf8(text)) {
      repaired = replace_invalid_utf8(text);
      text = repaired;
    }
    std::vector<TokenId> ids;
    std::vector<int> part;
    for (const Section& section : added_.split_raw(text, special)) {
      if (section.id) {
        ids.push_back(*section.id);
        continue;
      }
      const auto [begin, end] = section.span;
      const SentencePieceProcessor& processor = bare_ && begin > 0 ? *bare_ : *processor_;
      check(processor.Encode(text.substr(begin, end - begin), &part));
      ids.insert(ids.end(), part.begin(), part.end());
    }
    return ids;
  }

  std::string decode(std::span<const TokenId> ids, bool skip_special) const override {
    std::vector<std::string> tokens;
    for (const TokenId id : ids) {
      if (!is_special(id) || !skip_special) tokens.push_back(token_text(id));
    }
    std::string text;
    for (const std::string& part : decoder_->apply(std::move(tokens))) text += part;
    return text;
  }

  std::int64_t vocabulary_size() const override { return vocabulary_size_; }
  const SpecialIds& special() const override { return special_; }

  bool is_special(TokenId id) const override {
    const AddedToken* token = added_.find(id);
    return token != nullptr && token->special;
  }

  std::optional<TokenId> id_of(std::string_view token) const override {
    if (const AddedToken* added = added_.find(token)) return added->id;
    const int id = processor_->PieceToId(token);
    // PieceToId answers the unknown piece's id for what it does not know.
    if (id < 0 || processor_->IdToPiece(id) != token) return std::nullopt;
    return id;
  }

  std::string token_text(TokenId id) const override {
    if (const AddedToken* token = added_.find(id)) return token->content;
    return id >= 0 && id < processor_->GetPieceSize() ? processor_->IdToPiece(id) : std::string();
  }

  std::string kind() const override { return "SentencePiece (tokenizer.model)"; }

 private:
  static void check(const sentencepiece::util::Status& status) {
    if (!status.ok()) throw ModelFileError(fmt::format("{}: {}", kWhere, status.ToString()));
  }

  // Control and unknown pieces, and what tokenizer_config.json adds.
  static std::vector<AddedToken> added_tokens_from(const SentencePieceProcessor& processor,
                                                   const Json& config) {
    std::vector<AddedToken> added;
    for (int id = 0; id < processor.GetPieceSize(); ++id) {
      if (!processor.IsControl(id) && !processor.IsUnknown(id)) continue;
      added.push_back({.id = id, .content = processor.IdToPiece(id), .special = true});
    }
    if (!config.is_object() || !config.contains("added_tokens_decoder")) return added;
    const std::string where = "tokenizer_config.json: added_tokens_decoder";
    for (const auto& [key, entry] : config.at("added_tokens_decoder").items()) {
      AddedToken token =
          AddedToken::from_json(entry, token_id_of(parse_json(key, where), where), where);
      token.normalized = false;
      const auto same = [&](const AddedToken& other) { return other.content == token.content; };
      const auto known = std::find_if(added.begin(), added.end(), same);
      if (token.content.empty()) continue;
      if (known == added.end()) {
        added.push_back(std::move(token));
      } else {
        token.id = known->id;
        token.special = true;
        *known = std::move(token);
      }
    }
    return added;
  }

  void set_special(const SideFiles& files) {
    const auto known = [](int id) { return id >= 0 ? std::optional<TokenId>(id) : std::nullopt; };
    SpecialIds special;
    special.bos = known(processor_->bos_id());
    if (processor_->eos_id() >= 0) special.eos = {processor_->eos_id()};
    special.unk = known(processor_->unk_id());
    special.pad = known(processor_->pad_id());
    special.add_bos = true;  // LlamaTokenizer's default
    special_ = complete_special_ids(std::move(special), files, *this);
  }

  std::unique_ptr<SentencePieceProcessor> processor_;
  std::unique_ptr<SentencePieceProcessor> bare_;  // without dummy prefix; null where not needed
  AddedTokens added_;
  std::unique_ptr<Decoder> decoder_;
  SpecialIds special_;
  std::int64_t vocabulary_size_ = 0;
};

}  // namespace

std::unique_ptr<Tokenizer> tokenizer_from_sentencepiece(std::string_view model,
                                                        const SideFiles& files) {
  return std::make_unique<SentencePieceTokenizer>(model, files);
}

}  // namespace tutti::text
