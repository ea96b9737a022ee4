// Gemma 2: norms before and behind sublayers, soft caps, windows in every second layer, GeGLU.
#include <cmath>

#include "models/common_rules.hpp"
#include "models/decoder_config.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 1> kArchitectures{"Gemma2ForCausalLM"};

using rules::plus_one;

constexpr std::array kTensors{rules::kEmbedding,
                              plus_one(rules::kFinalNorm),
                              rules::kHead,
                              plus_one(rules::kAttentionNorm),
                              rules::kQ,
                              rules::kK,
                              rules::kV,
                              rules::kO,
                              plus_one(rules::kAttentionPostNorm),
                              plus_one(rules::kMlpPreNorm),
                              rules::kGate,
                              rules::kUp,
                              rules::kDown,
                              plus_one(rules::kMlpPostNorm)};

void set_gemma2(DecoderSpec& spec) {
  spec.norm_place = NormPlace::around;
  spec.activation = Activation::gelu_tanh;
  spec.embedding_scale = std::sqrt(static_cast<float>(spec.hidden));
  spec.full_attention_every = spec.window > 0 ? 2 : 0;
}

DecoderSpec from_hf(const json& object, const TensorSource&) {
  const ConfigReader config(object, "config.json");
  config.only("hidden_activation", "gelu_pytorch_tanh");
  config.ignore({"hidden_act"});  // hidden_activation is what the reference reads
  config.only("use_bidirectional_attention", false);
  DecoderSpec spec = read_hf_decoder(
      config, {.kv_heads = 4, .head_dim = 256, .context_length = 8192, .tied_head = true});
  set_window(spec, config.integer("sliding_window", 4096));
  set_gemma2(spec);
  read_hf_layer_types(config, spec);
  config.ignore({"sliding_window_size", "cache_implementation"});
  spec.qkv_bias = config.boolean("attention_bias", false);
  spec.o_bias = spec.qkv_bias;
  spec.attention_scale = 1 / std::sqrt(config.number("query_pre_attn_scalar", 256));
  spec.attention_softcap = config.number("attn_logit_softcapping", 0);
  spec.logit_softcap = config.number("final_logit_softcapping", 0);
  config.finish();
  return spec;
}

DecoderSpec from_gguf(const json& object, const TensorSource& source) {
  const ConfigReader metadata(object, "GGUF metadata", "gemma2.");
  DecoderSpec spec = read_gguf_decoder(metadata, source);
  set_window(spec, metadata.integer("attention.sliding_window", 4096));
  metadata.only("attention.sliding_window_pattern", 2);
  set_gemma2(spec);
  // As llama.cpp reckons it: the 27B alone divides by hidden size / heads.
  const double scaled = spec.layers == 46 ? static_cast<double>(spec.hidden / spec.q_heads)
                                          : static_cast<double>(spec.head_dim);
  spec.attention_scale = 1 / std::sqrt(scaled);
  spec.attention_softcap = metadata.number("attn_logit_softcapping", 50);
  spec.logit_softcap = metadata.number("final_logit_softcapping", 30);
  metadata.finish();
  return spec;
}

}  // namespace

const Family kGemma2{.name = "gemma2",
                     .hf_architectures = kArchitectures,
                     .gguf_architecture = "gemma2",
                     .tensors = kTensors,
                     .from_hf = from_hf,
                     .from_gguf = from_gguf};

}  // namespace tutti
