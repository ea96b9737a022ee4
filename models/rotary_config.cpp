#include "models/rotary_config.hpp"

#include <fmt/format.h>

#include <cmath>

#include "kernels/error.hpp"

namespace tutti {
namespace {

// YaRN's default for the factor of cos and sin (Peng et al. 2023, eq. 22).
double yarn_attention_factor(double factor) {
  return factor <= 1 ? 1 : 0.1 * std::log(factor) + 1;
}

// LongRoPE's (Ding et al. 2024, as Phi-3 uses it).
double longrope_attention_factor(double factor, double original_context) {
  return factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(original_context));
}

void read_llama3(const ConfigReader& rotary, RopeScaling& scaling) {
  scaling.factor = rotary.number("factor");
  scaling.low_freq_factor = rotary.number("low_freq_factor");
  scaling.high_freq_factor = rotary.number("high_freq_factor");
  scaling.original_context = rotary.number("original_max_position_embeddings");
}

void read_yarn(const ConfigReader& rotary, std::int64_t context, RopeScaling& scaling) {
  scaling.factor = rotary.number("factor");
  scaling.original_context =
      rotary.number("original_max_position_embeddings", static_cast<double>(context));
  scaling.beta_fast = rotary.number("beta_fast", 32);
  scaling.beta_slow = rotary.number("beta_slow", 1);
  scaling.attention_factor =
      rotary.number("attention_factor", yarn_attention_factor(scaling.factor));
  rotary.only("mscale", nullptr);
  rotary.only("mscale_all_dim", nullptr);
  rotary.only("truncate", true);
}

void read_longrope(const ConfigReader& config, const ConfigReader& rotary, std::int64_t context,
                   RopeScaling& scaling) {
  scaling.kind = "longrope";
  scaling.factors = rotary.numbers("short_factor");
  scaling.long_factors = rotary.numbers("long_factor");
  const auto whole = static_cast<double>(context);
  const double beside = config.number("original_max_position_embeddings", whole);
  scaling.original_context = rotary.number("original_max_position_embeddings", beside);
  double factor = rotary.number("factor", whole / scaling.original_context);
  if (config.has("original_max_position_embeddings")) {
    factor = whole / beside;
  }
  scaling.attention_factor = rotary.number(
      "attention_factor", longrope_attention_factor(factor, scaling.original_context));
}

// One number for each frequency.
std::vector<double> read_factors(const TensorSource& source, const SourceTensor& factors,
                                 std::int64_t wanted) {
  if (factors.shape != std::vector{wanted}) {
    throw ModelFileError(fmt::format("tensor '{}' is [{}], a rotation of {} elements wants [{}]",
                                     factors.name, fmt::join(factors.shape, ", "), 2 * wanted,
                                     wanted));
  }
  std::vector<float> values(static_cast<std::size_t>(wanted));
  source.read_rows(factors, {0, wanted}, DType::f32, reinterpret_cast<std::byte*>(values.data()));
  return {values.begin(), values.end()};
}

void read_gguf_longrope(const ConfigReader& metadata, const TensorSource& source,
                        std::int64_t frequencies, DecoderSpec& spec) {
  RopeScaling& scaling = spec.rope_scaling;
  const SourceTensor* in_short = find_tensor(source, "rope_factors_short.weight");
  const SourceTensor* in_long = find_tensor(source, "rope_factors_long.weight");
  if (in_short == nullptr || in_long == nullptr) {
    throw ModelFileError(
        "of 'rope_factors_short.weight' and 'rope_factors_long.weight' the source lacks one or "
        "both");
  }
  scaling.kind = "longrope";
  scaling.factors = read_factors(source, *in_short, frequencies);
  scaling.long_factors = read_factors(source, *in_long, frequencies);
  scaling.original_context = metadata.number("rope.scaling.original_context_length",
                                             static_cast<double>(spec.context_length));
  const double factor = static_cast<double>(spec.context_length) / scaling.original_context;
  scaling.attention_factor = metadata.number(
      "rope.scaling.attn_factor", longrope_attention_factor(factor, scaling.original_context));
}

void read_gguf_yarn(const ConfigReader& metadata, DecoderSpec& spec) {
  RopeScaling& scaling = spec.rope_scaling;
  scaling.kind = "yarn";
  scaling.factor = metadata.number("rope.scaling.factor");
  scaling.original_context = metadata.number("rope.scaling.original_context_length",
                                             static_cast<double>(spec.context_length));
  scaling.beta_fast = metadata.number("rope.scaling.yarn_beta_fast", 32);
  scaling.beta_slow = metadata.number("rope.scaling.yarn_beta_slow", 1);
  // What config.json calls attention_factor; attn_factor multiplies it.
  scaling.attention_factor =
      metadata.number("rope.scaling.attn_factor", 1) *
      metadata.number("rope.scaling.yarn_attn_factor", yarn_attention_factor(scaling.factor));
  metadata.only("rope.scaling.yarn_ext_factor", 1);
  metadata.only("rope.scaling.yarn_log_multiplier", 0);
}

}  // namespace

void read_hf_rotary_object(const ConfigReader& config, const ConfigReader& rotary,
                           const std::string& field, DecoderSpec& spec) {
  spec.rope_theta = rotary.number("rope_theta", spec.rope_theta);
  const std::string kind = rotary.text("rope_type", rotary.text("type", "default"));
  if (rotary.text("type", kind) != kind && rotary.text("type", kind) != "su") {
    rotary.refuse("type", fmt::format("what 'rope_type' says, \"{}\"", kind));
  }
  RopeScaling& scaling = spec.rope_scaling;
  if (kind == "default") {
  } else if (kind == "linear") {
    scaling.kind = kind;
    scaling.factor = rotary.number("factor");
  } else if (kind == "llama3") {
    scaling.kind = kind;
    read_llama3(rotary, scaling);
  } else if (kind == "yarn") {
    scaling.kind = kind;
    read_yarn(rotary, spec.context_length, scaling);
  } else if (kind == "longrope" || kind == "su") {
    read_longrope(config, rotary, spec.context_length, scaling);
  } else if (kind == "dynamic") {
    // Begins beyond max_position_embeddings, which no sequence gets to.
    rotary.ignore({"factor", "original_max_position_embeddings"});
  } else {
    throw ModelFileError(
        fmt::format("config.json: {}: rope type '{}' is not known; known are default, linear, "
                    "dynamic, llama3, yarn, longrope",
                    field, kind));
  }
  rotary.ignore({"rope_type", "type", "partial_rotary_factor"});  // read_hf_rotary_dim
  rotary.finish();
}

void read_hf_rotary(const ConfigReader& config, double default_theta, DecoderSpec& spec) {
  const bool joined = config.has("rope_parameters");
  const std::string field = joined ? "rope_parameters" : "rope_scaling";
  spec.rope_theta = config.number("rope_theta", default_theta);
  config.ignore({"rope_scaling", "original_max_position_embeddings"});
  if (config.has(field)) {
    const ConfigReader rotary = config.object(field);
    if (config.has("rope_theta")) {
      rotary.only("rope_theta", spec.rope_theta);  // twice, and the same
    }
    read_hf_rotary_object(config, rotary, field, spec);
  }
}

void read_gguf_rotary(const ConfigReader& metadata, const TensorSource& source, DecoderSpec& spec) {
  spec.rope_theta = metadata.number("rope.freq_base", 10000);
  const std::int64_t rotated = metadata.integer("rope.dimension_count", spec.head_dim);
  spec.rotary_dim = rotated == spec.head_dim ? 0 : rotated;
  metadata.ignore({"rope.scaling.original_context_length", "rope.scaling.finetuned",
                   "rope.scaling.attn_factor", "rope.scaling.factor"});
  const double old_factor = metadata.number("rope.scale_linear", 1);  // until October 2023
  const bool old_linear = old_factor != 1 && old_factor != 0;
  const std::string kind = metadata.text("rope.scaling.type", old_linear ? "linear" : "none");
  RopeScaling& scaling = spec.rope_scaling;
  if (kind == "linear") {
    scaling.kind = kind;
    scaling.factor = old_linear ? old_factor : metadata.number("rope.scaling.factor");
  } else if (kind == "yarn") {
    read_gguf_yarn(metadata, spec);
  } else if (kind != "none" && kind != "longrope") {
    throw ModelFileError(
        fmt::format("rope.scaling.type is '{}'; known are none, linear, yarn, "
                    "longrope",
                    kind));
  }
  const std::int64_t frequencies = spec.rotated() / 2;
  if (const SourceTensor* factors = find_tensor(source, "rope_freqs.weight")) {
    if (kind != "none") {
      throw ModelFileError(
          fmt::format("rope.scaling.type is '{}' and there is a tensor 'rope_freqs.weight' too; "
                      "known is one of them",
                      kind));
    }
    scaling.kind = "factors";
    scaling.factors = read_factors(source, *factors, frequencies);
  }
  if (kind == "longrope" || find_tensor(source, "rope_factors_short.weight") != nullptr ||
      find_tensor(source, "rope_factors_long.weight") != nullptr) {
    read_gguf_longrope(metadata, source, frequencies, spec);
  }
}

}  // namespace tutti
