#include "models/import_rules.hpp"

namespace tutti {

bool has_tensor(const TensorRule& rule, const DecoderSpec& spec) {
  const std::string_view name = rule.name;
  if (name == "head") {
    return !spec.tied_head;
  }
  const bool of_layer = name.starts_with("layers.") && name.ends_with("norm");
  return !of_layer || name.ends_with("q_norm") || name.ends_with("k_norm") || spec.has_norm(name);
}

bool is_of_experts(std::string_view name) {
  return name.find(".experts.") != std::string_view::npos && !name.ends_with(".router");
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
  if (name == "positions") {
    return {spec.context_length, spec.hidden};
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
  if (name.ends_with(".router")) {
    return {name.find(".shared.") != std::string_view::npos ? 1 : spec.experts, spec.hidden};
  }
  if (name.find(".shared.") != std::string_view::npos) {
    return name.ends_with(".down") ? std::vector{spec.hidden, spec.shared_ffn}
                                   : std::vector{spec.shared_ffn, spec.hidden};
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

RowPick pick_of(Part part, bool by_group, const DecoderSpec& spec) {
  if (by_group && (part == Part::q || part == Part::k || part == Part::v)) {
    const std::int64_t q_rows = spec.q_heads / spec.kv_heads * spec.head_dim;
    const std::int64_t first = part == Part::q   ? 0
                               : part == Part::k ? q_rows
                                                 : q_rows + spec.head_dim;
    return {.first = first,
            .block = part == Part::q ? q_rows : spec.head_dim,
            .stride = q_rows + 2 * spec.head_dim,
            .blocks = spec.kv_heads};
  }
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
