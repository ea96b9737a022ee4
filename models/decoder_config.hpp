// The part of a source's configuration that nearly all decoders share.
#pragma once

#include "models/config_reader.hpp"

namespace tutti {

// What the reference's configuration class takes for a field that is missing.
struct HfDefaults {
  std::int64_t kv_heads = 0;  // 0: as many as query heads
  std::int64_t head_dim = 0;  // 0: hidden size / query heads
  std::int64_t context_length = 2048;
  double norm_eps = 1e-6;
  double rope_theta = 10000;
  bool tied_head = false;
  double rotary_share = 1;  // of a head, that is rotated
};

// Layers, sizes, heads, RMS epsilon, tied head and rotary positions under Llama's names, and the
// fields that every configuration may have without effect. Errors: ModelFileError.
DecoderSpec read_hf_decoder(const ConfigReader& config, const HfDefaults& defaults);

// The same of a GGUF file; the vocabulary is that of token_embd.weight, the head is tied where
// there is no output.weight, and products of attention have biases where there are such tensors.
DecoderSpec read_gguf_decoder(const ConfigReader& metadata, const TensorSource& source);
// The same of a family with LayerNorms, its norms and all products with biases where there are such
// tensors.
DecoderSpec read_gguf_layernorm_decoder(const ConfigReader& metadata, const TensorSource& source);

// Of config.json. Errors: ModelFileError for another activation than silu, gelu, gelu_new,
// gelu_fast, gelu_pytorch_tanh and relu.
Activation read_hf_activation(const ConfigReader& config, const std::string& field,
                              const std::string& fallback);

// rotary_dim from "partial_rotary_factor", of the configuration or of its rotary object.
void read_hf_rotary_dim(const ConfigReader& config, double fallback, DecoderSpec& spec);

// A window of all layers; one that is as long as the context hides nothing and is dropped.
void set_window(DecoderSpec& spec, std::int64_t tokens);
// The same from "sliding_window".
void read_hf_window(const ConfigReader& config, DecoderSpec& spec);

// Qwen's window, which no published model uses: off, and what is said about it is ignored.
void refuse_hf_window(const ConfigReader& config);

// Which layers have spec.window by "layer_types", where that is there; else what the caller set
// stays. Errors: ModelFileError where they follow no rule that full_attention_every can say.
void read_hf_layer_types(const ConfigReader& config, DecoderSpec& spec);

// What the reference's configuration class takes for a field about experts that is missing.
struct HfExperts {
  std::int64_t experts = 0;
  std::int64_t experts_per_token = 0;
  std::int64_t ffn = 0;  // 0: "intermediate_size", and the experts' weights are renormalised
};

// A mixture of experts in every layer. Errors: ModelFileError for layers without.
void read_hf_experts(const ConfigReader& config, const HfExperts& defaults, DecoderSpec& spec);
// The same of a GGUF file.
void read_gguf_experts(const ConfigReader& metadata, DecoderSpec& spec);

// Fields of config.json that train, generate or describe, and never compute a logit.
void ignore_hf_fields(const ConfigReader& config);

}  // namespace tutti
