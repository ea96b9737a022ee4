// Phi-3 and Phi-4: Llama whose sources hold q, k and v in one tensor, and gate and up in another.
#include "models/common_rules.hpp"
#include "models/decoder_config.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 1> kArchitectures{"Phi3ForCausalLM"};

constexpr TensorRule qkv(std::string_view name, Part part) {
  return {.name = name,
          .hf = "model.layers.{}.self_attn.qkv_proj.weight",
          .gguf = "blk.{}.attn_qkv.weight",
          .hf_part = part,
          .gguf_part = part};
}

constexpr TensorRule gate_up(std::string_view name, Part part) {
  return {.name = name,
          .hf = "model.layers.{}.mlp.gate_up_proj.weight",
          .gguf = "blk.{}.ffn_up.weight",
          .hf_part = part,
          .gguf_part = part};
}

constexpr std::array kTensors{rules::kEmbedding,
                              rules::kFinalNorm,
                              rules::kHead,
                              rules::kAttentionNorm,
                              qkv("layers.{}.attention.q", Part::q),
                              qkv("layers.{}.attention.k", Part::k),
                              qkv("layers.{}.attention.v", Part::v),
                              rules::kO,
                              rules::kMlpNorm,
                              gate_up("layers.{}.mlp.gate", Part::gate),
                              gate_up("layers.{}.mlp.up", Part::up),
                              rules::kDown};

DecoderSpec from_hf(const json& object, const TensorSource&) {
  const ConfigReader config(object, "config.json");
  config.only("hidden_act", "silu");
  config.only("attention_bias", false);
  config.only("mlp_bias", false);
  config.only("lm_head_bias", false);
  DecoderSpec spec = read_hf_decoder(config, {.context_length = 4096, .norm_eps = 1e-5});
  read_hf_window(config, spec);
  config.finish();
  return spec;
}

DecoderSpec from_gguf(const json& object, const TensorSource& source) {
  const ConfigReader metadata(object, "GGUF metadata", "phi3.");
  DecoderSpec spec = read_gguf_decoder(metadata, source);
  // Files of before June 2024 lack the window of the models with 4,096 tokens of context.
  const std::int64_t unsaid = spec.context_length == 4096 ? 2047 : 0;
  set_window(spec, metadata.integer("attention.sliding_window", unsaid));
  metadata.finish();
  return spec;
}

}  // namespace

const Family kPhi3{.name = "phi3",
                   .hf_architectures = kArchitectures,
                   .gguf_architecture = "phi3",
                   .tensors = kTensors,
                   .from_hf = from_hf,
                   .from_gguf = from_gguf};

}  // namespace tutti
