#include "models/decoder_spec.hpp"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <vector>

#include "kernels/attention.hpp"
#include "kernels/error.hpp"

namespace tutti {
namespace {

using nlohmann::json;

template <typename T>
void read(const json& config, const char* field, T& value) {
  const auto found = config.find(field);
  if (found == config.end()) {
    throw ModelFileError(fmt::format("config: field '{}' is missing", field));
  }
  // The library would make 1 of true and 12 of 12.9.
  bool sound = true;
  if constexpr (std::is_same_v<T, std::int64_t>) {
    sound = found->is_number_integer();
  } else if constexpr (std::is_same_v<T, double>) {
    sound = found->is_number();
  }
  try {
    if (sound) {
      found->get_to(value);
    }
  } catch (const json::exception&) {
    sound = false;
  }
  if (!sound) {
    throw ModelFileError(
        fmt::format("config: field '{}' is {}, which is of another type", field, found->dump()));
  }
}

void require_positive(const char* field, double value) {
  if (!(value > 0) || value > 1e9) {
    throw ModelFileError(
        fmt::format("config: field '{}' is {}, it must be positive and sane", field, value));
  }
}

json scaling_to_json(const RopeScaling& scaling) {
  json out{{"kind", scaling.kind}};
  if (scaling.kind == "linear" || scaling.kind == "llama3") {
    out["factor"] = scaling.factor;
  }
  if (scaling.kind == "llama3") {
    out["low_freq_factor"] = scaling.low_freq_factor;
    out["high_freq_factor"] = scaling.high_freq_factor;
    out["original_context"] = scaling.original_context;
  }
  if (scaling.kind == "factors") {
    out["factors"] = scaling.factors;
  }
  return out;
}

RopeScaling scaling_from_json(const json& config) {
  RopeScaling scaling;
  read(config, "kind", scaling.kind);
  if (scaling.kind == "linear" || scaling.kind == "llama3") {
    read(config, "factor", scaling.factor);
    require_positive("rope_scaling.factor", scaling.factor);
  }
  if (scaling.kind == "llama3") {
    read(config, "low_freq_factor", scaling.low_freq_factor);
    read(config, "high_freq_factor", scaling.high_freq_factor);
    read(config, "original_context", scaling.original_context);
    require_positive("rope_scaling.low_freq_factor", scaling.low_freq_factor);
    require_positive("rope_scaling.original_context", scaling.original_context);
    if (!(scaling.high_freq_factor > scaling.low_freq_factor)) {
      throw ModelFileError(
          fmt::format("config: field 'rope_scaling.high_freq_factor' is {}, wanted more than "
                      "low_freq_factor, {}",
                      scaling.high_freq_factor, scaling.low_freq_factor));
    }
  }
  if (scaling.kind == "factors") {
    read(config, "factors", scaling.factors);
  }
  return scaling;
}

void check_rotary(const DecoderSpec& spec) {
  std::vector<float> frequencies;
  try {
    frequencies =
        rotary_frequencies(static_cast<int>(spec.head_dim), spec.rope_theta, spec.rope_scaling);
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
  check_rotary(spec);
}

}  // namespace

ShardShape DecoderSpec::shard_shape() const {
  return {.layers = layers,
          .hidden = hidden,
          .q_heads = q_heads,
          .kv_heads = kv_heads,
          .head_dim = head_dim,
          .ffn = ffn,
          .vocabulary = vocabulary,
          .tied_head = tied_head};
}

json DecoderSpec::to_json() const {
  return {{"architecture", architecture},
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
}

DecoderSpec DecoderSpec::from_json(const json& config) {
  DecoderSpec spec;
  read(config, "architecture", spec.architecture);
  read(config, "layers", spec.layers);
  read(config, "hidden", spec.hidden);
  read(config, "q_heads", spec.q_heads);
  read(config, "kv_heads", spec.kv_heads);
  read(config, "head_dim", spec.head_dim);
  read(config, "ffn", spec.ffn);
  read(config, "vocabulary", spec.vocabulary);
  read(config, "context_length", spec.context_length);
  read(config, "norm_eps", spec.norm_eps);
  read(config, "rope_theta", spec.rope_theta);
  read(config, "tied_head", spec.tied_head);
  json scaling;
  read(config, "rope_scaling", scaling);
  spec.rope_scaling = scaling_from_json(scaling);
  validate(spec);
  return spec;
}

}  // namespace tutti
