// Gemma 3, text: Gemma 2 with norms of queries and keys for soft caps, and another rotary base in
// layers with a window.
#include <cmath>

#include "models/common_rules.hpp"
#include "models/decoder_config.hpp"
#include "models/rotary_config.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 1> kArchitectures{"Gemma3ForCausalLM"};

using rules::plus_one;

constexpr std::array kTensors{rules::kEmbedding,
                              plus_one(rules::kFinalNorm),
                              rules::kHead,
                              plus_one(rules::kAttentionNorm),
                              rules::kQ,
                              rules::kK,
                              rules::kV,
                              rules::kO,
                              plus_one(rules::kQNorm),
                              plus_one(rules::kKNorm),
                              plus_one(rules::kAttentionPostNorm),
                              plus_one(rules::kMlpPreNorm),
                              rules::kGate,
                              rules::kUp,
                              rules::kDown,
                              plus_one(rules::kMlpPostNorm)};

void set_gemma3(DecoderSpec& spec) {
  spec.norm_place = NormPlace::around;
  spec.activation = Activation::gelu_tanh;
  spec.embedding_scale = std::sqrt(static_cast<float>(spec.hidden));
  spec.qk_norm = QkNorm::head;
}

// rope_parameters holds one object for each kind of layer, or is not there.
void read_rotary(const ConfigReader& config, DecoderSpec& spec) {
  if (!config.has("rope_parameters")) {
    spec.local_rope_theta = config.number("rope_local_base_freq", 10000);
    return;
  }
  const ConfigReader kinds = config.object("rope_parameters");
  spec.rope_theta = 1e6;
  spec.rope_scaling = {};
  read_hf_rotary_object(config, kinds.object("full_attention"), "rope_parameters", spec);
  const ConfigReader local = kinds.object("sliding_attention");
  local.only("rope_type", "default");
  spec.local_rope_theta = local.number("rope_theta", 10000);
  local.finish();
  kinds.finish();
}

DecoderSpec from_hf(const json& object, const TensorSource&) {
  json flat = object;
  flat.erase("rope_parameters");
  const ConfigReader config(object, "config.json");
  const ConfigReader common(flat, "config.json");
  config.only("hidden_activation", "gelu_pytorch_tanh");
  config.only("use_bidirectional_attention", false);
  config.only("attn_logit_softcapping", nullptr);
  config.only("final_logit_softcapping", nullptr);
  DecoderSpec spec = read_hf_decoder(common, {.kv_heads = 4,
                                              .head_dim = 256,
                                              .context_length = 131072,
                                              .rope_theta = 1e6,
                                              .tied_head = true});
  read_rotary(config, spec);
  config.share(common);
  set_window(spec, config.integer("sliding_window", 4096));
  if (spec.window == 0) {
    spec.local_rope_theta = 0;
  }
  spec.full_attention_every =
      config.integer("sliding_window_pattern", config.integer("_sliding_window_pattern", 6));
  read_hf_layer_types(config, spec);
  spec.qkv_bias = config.boolean("attention_bias", false);
  spec.o_bias = spec.qkv_bias;
  spec.attention_scale = 1 / std::sqrt(config.number("query_pre_attn_scalar", 256));
  set_gemma3(spec);
  config.finish();
  return spec;
}

DecoderSpec from_gguf(const json& object, const TensorSource& source) {
  const ConfigReader metadata(object, "GGUF metadata", "gemma3.");
  DecoderSpec spec = read_gguf_decoder(metadata, source);
  spec.rope_theta = metadata.number("rope.freq_base", 1e6);
  set_window(spec, metadata.integer("attention.sliding_window", 0));
  spec.full_attention_every = metadata.integer("attention.sliding_window_pattern", 6);
  spec.local_rope_theta = spec.window > 0 ? metadata.number("rope.freq_base_swa", 10000) : 0;
  metadata.only("final_logit_softcapping", nullptr);
  // As llama.cpp reckons it: the 27B alone divides by hidden size / heads.
  const double scaled = spec.layers == 62 ? static_cast<double>(spec.hidden / spec.q_heads)
                                          : static_cast<double>(spec.head_dim);
  spec.attention_scale = 1 / std::sqrt(scaled);
  set_gemma3(spec);
  metadata.finish();
  return spec;
}

}  // namespace

const Family kGemma3{.name = "gemma3",
                     .hf_architectures = kArchitectures,
                     .gguf_architecture = "gemma3",
                     .tensors = kTensors,
                     .from_hf = from_hf,
                     .from_gguf = from_gguf};

}  // namespace tutti
