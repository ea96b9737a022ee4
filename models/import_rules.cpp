#include "models/import_rules.hpp"

namespace tutti {

bool has_tensor(const TensorRule& rule, const DecoderSpec& spec) {
  return rule.name != "head" || !spec.tied_head;
}

std::vector<std::int64_t> weight_shape(std::string_view name, const DecoderSpec& spec) {
  const std::int64_t q_rows = spec.q_heads * spec.head_dim;
  const std::int64_t kv_rows = spec.kv_heads * spec.head_dim;
  const bool whole = spec.qk_norm == QkNorm::projection;
  if (name.ends_with("q_norm")) {
    return {whole ? q_rows : spec.head_dim};
  }
  if (name.ends_with("k_norm")) {
    return {whole ? kv_rows : spec.head_dim};
  }
  if (name.ends_with("norm")) {
    return {spec.hidden};
  }
  if (name == "embedding" || name == "head") {
    return {spec.vocabulary, spec.hidden};
  }
  if (name.ends_with(".q")) {
    return {q_rows, spec.hidden};
  }
  if (name.ends_with(".k") || name.ends_with(".v")) {
    return {kv_rows, spec.hidden};
  }
  if (name.ends_with(".o")) {
    return {spec.hidden, q_rows};
  }
  return name.ends_with(".down") ? std::vector{spec.hidden, spec.ffn}
                                 : std::vector{spec.ffn, spec.hidden};
}

std::vector<std::int64_t> source_shape(std::vector<std::int64_t> own, Part part,
                                       const DecoderSpec& spec) {
  if (part == Part::gate || part == Part::up) {
    own[0] = 2 * spec.ffn;
  } else if (part != Part::whole) {
    own[0] = (spec.q_heads + 2 * spec.kv_heads) * spec.head_dim;
  }
  return own;
}

RowPick pick_of(Part part, const DecoderSpec& spec) {
  const std::int64_t q_rows = spec.q_heads * spec.head_dim;
  const std::int64_t kv_rows = spec.kv_heads * spec.head_dim;
  switch (part) {
    case Part::q:
      return {.block = q_rows};
    case Part::k:
      return {.first = q_rows, .block = kv_rows};
    case Part::v:
      return {.first = q_rows + kv_rows, .block = kv_rows};
    case Part::gate:
      return {.block = spec.ffn};
    case Part::up:
      return {.first = spec.ffn, .block = spec.ffn};
    case Part::whole:
      break;
  }
  return {};
}

}  // namespace tutti
