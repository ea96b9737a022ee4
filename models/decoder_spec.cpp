#include "models/decoder_spec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <type_traits>
#include <vector>

#include "kernels/attention.hpp"
#include "kernels/error.hpp"
#include "kernels/expert_groups.hpp"
#include "models/json_fields.hpp"
#include "models/rope_scaling_json.hpp"

namespace tutti {
namespace {

using nlohmann::json;

// What an enumeration's values are called, in their order.
constexpr std::array<const char*, 3> names_of(QkNorm) {
  return {"none", "head", "projection"};
}

constexpr std::array<const char*, 2> names_of(NormKind) {
  return {"rms", "layer"};
}
constexpr std::array<const char*, 3> names_of(NormPlace) {
  return {"before", "around", "after"};
}
constexpr std::array<const char*, 4> names_of(Activation) {
  return {"silu", "gelu_tanh", "gelu_erf", "relu"};
}
constexpr std::array<const char*, 3> names_of(Positions) {
  return {"rotary", "learned", "alibi"};
}

template <typename Value>
json written(Value value) {
  if constexpr (std::is_enum_v<Value>) {
    return names_of(value).at(static_cast<std::size_t>(value));
  } else {
    return value;
  }
}

template <typename Value>
void read_variation(const json& config, const char* field, Value& value) {
  if constexpr (std::is_enum_v<Value>) {
    std::string name;
    read_field(config, field, name);
    const auto names = names_of(Value{});
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      throw ModelFileError(fmt::format("config: field '{}' is \"{}\", wanted one of {}", field,
                                       name, fmt::join(names, ", ")));
    }
    value = static_cast<Value>(found - names.begin());
  } else {
    read_field(config, field, value);
  }
}

// The fields that are written only where they differ from the default.
template <typename Visit>
void for_each_variation(const Visit& visit) {
  visit("qkv_bias", &DecoderSpec::qkv_bias);
  visit("o_bias", &DecoderSpec::o_bias);
  visit("qk_norm", &DecoderSpec::qk_norm);
  visit("rotary_dim", &DecoderSpec::rotary_dim);
  visit("window", &DecoderSpec::window);
  visit("full_attention_every", &DecoderSpec::full_attention_every);
  visit("local_rope_theta", &DecoderSpec::local_rope_theta);
  visit("attention_scale", &DecoderSpec::attention_scale);
  visit("attention_softcap", &DecoderSpec::attention_softcap);
  visit("norm", &DecoderSpec::norm);
  visit("norm_bias", &DecoderSpec::norm_bias);
  visit("norm_place", &DecoderSpec::norm_place);
  visit("parallel", &DecoderSpec::parallel);
  visit("shared_norm", &DecoderSpec::shared_norm);
  visit("activation", &DecoderSpec::activation);
  visit("gated", &DecoderSpec::gated);
  visit("mlp_bias", &DecoderSpec::mlp_bias);
  visit("experts", &DecoderSpec::experts);
  visit("experts_per_token", &DecoderSpec::experts_per_token);
  visit("renormalise_experts", &DecoderSpec::renormalise_experts);
  visit("shared_ffn", &DecoderSpec::shared_ffn);
  visit("positions", &DecoderSpec::positions);
  visit("alibi_max_bias", &DecoderSpec::alibi_max_bias);
  visit("embedding_scale", &DecoderSpec::embedding_scale);
  visit("residual_scale", &DecoderSpec::residual_scale);
  visit("logit_scale", &DecoderSpec::logit_scale);
  visit("logit_softcap", &DecoderSpec::logit_softcap);
}

void check_rotary(const DecoderSpec& spec, std::int64_t context) {
  std::vector<float> frequencies;
  try {
    frequencies = rotary_frequencies(static_cast<int>(spec.rotated()), spec.rope_theta,
                                     spec.rope_scaling, context);
  } catch (const ConfigError& error) {
    throw ModelFileError(fmt::format("config: field 'rope_scaling': {}", error.what()));
  }
  for (const float frequency : frequencies) {
    if (!(frequency > 0) || !std::isfinite(frequency)) {
      throw ModelFileError(fmt::format(
          "config: field 'rope_scaling' is {}, which makes a frequency {}, wanted positive ones",
          scaling_to_json(spec.rope_scaling).dump(), frequency));
    }
  }
}

[[noreturn]] void refuse(const char* what) {
  throw ModelFileError(fmt::format("config: {}, which is not known", what));
}

void check_experts(const DecoderSpec& spec) {
  require_not_negative("experts", static_cast<double>(spec.experts));
  require_not_negative("experts_per_token", static_cast<double>(spec.experts_per_token));
  require_not_negative("shared_ffn", static_cast<double>(spec.shared_ffn));
  if (spec.experts == 0) {
    if (spec.experts_per_token != 0 || spec.shared_ffn != 0 || !spec.renormalise_experts) {
      refuse("'experts_per_token', 'renormalise_experts' or 'shared_ffn' goes without 'experts'");
    }
    return;
  }
  const std::int64_t most = std::min<std::int64_t>(spec.experts, kMostChosen);
  if (spec.experts > kMostExperts || spec.experts_per_token < 1 || spec.experts_per_token > most) {
    throw ModelFileError(
        fmt::format("config: {} of {} experts a token, wanted 1 to {} of at most {}",
                    spec.experts_per_token, spec.experts, kMostChosen, kMostExperts));
  }
  if (!spec.gated || spec.mlp_bias || spec.parallel) {
    refuse("'experts' goes without 'gated' or with 'mlp_bias' or 'parallel'");
  }
}

// Combinations that no family has and the decoder does not compute.
void check_norms(const DecoderSpec& spec) {
  const bool post = spec.norm_place != NormPlace::before;
  const bool layer = spec.norm == NormKind::layer;
  if (post && (layer || spec.residual_scale != 1 || spec.parallel)) {
    refuse(
        "'norm_place' other than \"before\" goes with 'norm' \"layer\", 'residual_scale' or "
        "'parallel'");
  }
  if (spec.norm_bias && !layer) {
    refuse("'norm_bias' goes with 'norm' \"rms\"");
  }
  if (spec.shared_norm && !spec.parallel) {
    refuse("'shared_norm' goes without 'parallel'");
  }
}

void validate(const DecoderSpec& spec) {
  require_positive("layers", static_cast<double>(spec.layers));
  require_positive("hidden", static_cast<double>(spec.hidden));
  require_positive("q_heads", static_cast<double>(spec.q_heads));
  require_positive("kv_heads", static_cast<double>(spec.kv_heads));
  require_positive("head_dim", static_cast<double>(spec.head_dim));
  require_positive("ffn", static_cast<double>(spec.ffn));
  require_positive("vocabulary", static_cast<double>(spec.vocabulary));
  require_positive("context_length", static_cast<double>(spec.context_length));
  require_positive("norm_eps", spec.norm_eps);
  require_positive("rope_theta", spec.rope_theta);
  if (spec.q_heads % spec.kv_heads != 0) {
    throw ModelFileError(fmt::format("config: {} query heads cannot share {} KV heads evenly",
                                     spec.q_heads, spec.kv_heads));
  }
  if (spec.head_dim % 2 != 0 || spec.head_dim > kAttentionMaxHeadDim) {
    throw ModelFileError(fmt::format("config: head_dim is {}, wanted an even one of at most {}",
                                     spec.head_dim, kAttentionMaxHeadDim));
  }
  if (spec.rotated() % 2 != 0 || spec.rotated() > spec.head_dim || spec.rotary_dim < 0) {
    throw ModelFileError(
        fmt::format("config: field 'rotary_dim' is {}, wanted an even one of at most head_dim, {}",
                    spec.rotary_dim, spec.head_dim));
  }
  require_not_negative("window", static_cast<double>(spec.window));
  require_not_negative("full_attention_every", static_cast<double>(spec.full_attention_every));
  require_not_negative("local_rope_theta", spec.local_rope_theta);
  require_not_negative("attention_scale", spec.attention_scale);
  require_not_negative("attention_softcap", spec.attention_softcap);
  require_not_negative("logit_softcap", spec.logit_softcap);
  require_positive("alibi_max_bias", spec.alibi_max_bias);
  require_positive("embedding_scale", spec.embedding_scale);
  require_positive("residual_scale", spec.residual_scale);
  require_positive("logit_scale", spec.logit_scale);
  check_norms(spec);
  check_experts(spec);
  for (const std::int64_t context : {std::int64_t{0}, spec.context_length}) {
    check_rotary(spec, context);
  }
}

// A later program's field would change the answers.
void refuse_unknown(const json& config) {
  std::set<std::string> known;
  const json plain = DecoderSpec{}.to_json();
  for (const auto& [field, value] : plain.items()) {
    known.insert(field);
  }
  for_each_variation([&](const char* field, auto) { known.insert(field); });
  for (const auto& [field, value] : config.items()) {
    if (!known.contains(field)) {
      throw ModelFileError(fmt::format(
          "config: field '{}' is not known to this version: its answers would differ", field));
    }
  }
}

}  // namespace

bool DecoderSpec::has_bias(std::string_view name) const {
  if (name.ends_with("q_norm") || name.ends_with("k_norm")) {
    return false;
  }
  if (name.ends_with("norm")) {
    return norm_bias;
  }
  if (name.find(".mlp.") != std::string_view::npos) {
    return mlp_bias;
  }
  if (name.ends_with(".q") || name.ends_with(".k") || name.ends_with(".v")) {
    return qkv_bias;
  }
  return name.ends_with(".o") && o_bias;
}

bool DecoderSpec::has_norm(std::string_view name) const {
  if (name.ends_with("post_norm")) {
    return norm_place != NormPlace::before;
  }
  return norm_place != NormPlace::after && !(shared_norm && name.ends_with("mlp_norm"));
}

bool DecoderSpec::has_window(std::int64_t layer) const {
  return window > 0 && (full_attention_every == 0 || (layer + 1) % full_attention_every != 0);
}

double DecoderSpec::experts_read(double tokens) const {
  const auto all = static_cast<double>(experts);
  return experts == 0
             ? 0
             : all * (1 - std::pow(1 - static_cast<double>(experts_per_token) / all, tokens));
}

ShardShape DecoderSpec::shard_shape() const {
  const std::int64_t head_elements = qkv_bias ? head_dim : 0;
  const std::int64_t norm_vectors = norm_bias ? 2 : 1;
  const std::int64_t norms = shared_norm ? 1 : norm_place == NormPlace::around ? 4 : 2;
  const std::int64_t normed = qk_norm == QkNorm::projection ? head_dim : 0;
  return {.layers = layers,
          .hidden = hidden,
          .q_heads = q_heads,
          .kv_heads = kv_heads,
          .head_dim = head_dim,
          .ffn = ffn,
          .vocabulary = vocabulary,
          .tied_head = tied_head,
          .ffn_matrices = gated ? 3 : 2,
          .experts = experts,
          .experts_per_token = experts_per_token,
          .shared_ffn = shared_ffn,
          .positions = positions == Positions::learned ? context_length : 0,
          .layer_rows = experts + (shared_ffn > 0 ? 1 : 0),
          .layer_vectors = norms * norm_vectors,
          .last_vectors = norm_vectors,
          .first_rank_vectors = (o_bias ? 1 : 0) + (mlp_bias ? 1 : 0),
          .layer_elements = qk_norm == QkNorm::head ? 2 * head_dim : 0,
          .q_head_elements = head_elements + normed,
          .kv_head_elements = 2 * head_elements + normed,
          .ffn_column_elements = mlp_bias ? (gated ? 2 : 1) : 0};
}

json DecoderSpec::to_json() const {
  json config{{"architecture", architecture},
              {"layers", layers},
              {"hidden", hidden},
              {"q_heads", q_heads},
              {"kv_heads", kv_heads},
              {"head_dim", head_dim},
              {"ffn", ffn},
              {"vocabulary", vocabulary},
              {"context_length", context_length},
              {"norm_eps", norm_eps},
              {"rope_theta", rope_theta},
              {"rope_scaling", scaling_to_json(rope_scaling)},
              {"tied_head", tied_head}};
  for_each_variation([&](const char* field, auto member) {
    if (this->*member != DecoderSpec{}.*member) {
      config[field] = written(this->*member);
    }
  });
  return config;
}

DecoderSpec DecoderSpec::from_json(const json& config) {
  DecoderSpec spec;
  read_field(config, "architecture", spec.architecture);
  read_field(config, "layers", spec.layers);
  read_field(config, "hidden", spec.hidden);
  read_field(config, "q_heads", spec.q_heads);
  read_field(config, "kv_heads", spec.kv_heads);
  read_field(config, "head_dim", spec.head_dim);
  read_field(config, "ffn", spec.ffn);
  read_field(config, "vocabulary", spec.vocabulary);
  read_field(config, "context_length", spec.context_length);
  read_field(config, "norm_eps", spec.norm_eps);
  read_field(config, "rope_theta", spec.rope_theta);
  read_field(config, "tied_head", spec.tied_head);
  json scaling;
  read_field(config, "rope_scaling", scaling);
  spec.rope_scaling = scaling_from_json(scaling);
  for_each_variation([&](const char* field, auto member) {
    if (config.contains(field)) {
      read_variation(config, field, spec.*member);
    }
  });
  validate(spec);
  refuse_unknown(config);
  return spec;
}

}  // namespace tutti
