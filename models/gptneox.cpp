// GPT-NeoX and Pythia: both sublayers read the same stream, a part of each head is rotated.
#include "models/common_rules.hpp"
#include "models/decoder_config.hpp"
#include "models/rotary_config.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 1> kArchitectures{"GPTNeoXForCausalLM"};

constexpr TensorRule qkv(std::string_view name, Part part) {
  return {.name = name,
          .hf = "gpt_neox.layers.{}.attention.query_key_value.weight",
          .gguf = "blk.{}.attn_qkv.weight",
          .hf_part = part,
          .gguf_part = part};
}

constexpr std::array kTensors{
    TensorRule{.name = "embedding", .hf = "gpt_neox.embed_in.weight", .gguf = "token_embd.weight"},
    TensorRule{.name = "final_norm",
               .hf = "gpt_neox.final_layer_norm.weight",
               .gguf = "output_norm.weight"},
    TensorRule{.name = "head",
               .hf = "embed_out.weight",
               .gguf = "output.weight",
               .hf_other = "lm_head.weight"},
    TensorRule{.name = "layers.{}.attention_norm",
               .hf = "gpt_neox.layers.{}.input_layernorm.weight",
               .gguf = "blk.{}.attn_norm.weight"},
    qkv("layers.{}.attention.q", Part::q),
    qkv("layers.{}.attention.k", Part::k),
    qkv("layers.{}.attention.v", Part::v),
    TensorRule{.name = "layers.{}.attention.o",
               .hf = "gpt_neox.layers.{}.attention.dense.weight",
               .gguf = "blk.{}.attn_output.weight",
               .row_parallel = true},
    TensorRule{.name = "layers.{}.mlp_norm",
               .hf = "gpt_neox.layers.{}.post_attention_layernorm.weight",
               .gguf = "blk.{}.ffn_norm.weight"},
    TensorRule{.name = "layers.{}.mlp.up",
               .hf = "gpt_neox.layers.{}.mlp.dense_h_to_4h.weight",
               .gguf = "blk.{}.ffn_up.weight"},
    TensorRule{.name = "layers.{}.mlp.down",
               .hf = "gpt_neox.layers.{}.mlp.dense_4h_to_h.weight",
               .gguf = "blk.{}.ffn_down.weight",
               .row_parallel = true}};

DecoderSpec from_hf(const json& object, const TensorSource&) {
  const ConfigReader config(object, "config.json");
  DecoderSpec spec = read_hf_decoder(config, {.rope_theta = config.number("rotary_emb_base", 10000),
                                              .rotary_share = config.number("rotary_pct", 0.25)});
  spec.norm_eps = config.number("layer_norm_eps", 1e-5);
  spec.activation = read_hf_activation(config, "hidden_act", "gelu");
  spec.parallel = config.boolean("use_parallel_residual", true);
  spec.norm = NormKind::layer;
  spec.qkv_bias = config.boolean("attention_bias", true);
  spec.o_bias = spec.qkv_bias;
  spec.norm_bias = spec.mlp_bias = true;
  spec.gated = false;
  config.finish();
  return spec;
}

DecoderSpec from_gguf(const json& object, const TensorSource& source) {
  const ConfigReader metadata(object, "GGUF metadata", "gptneox.");
  DecoderSpec spec = read_gguf_layernorm_decoder(metadata, source);
  // Not in the file: Pythia's, and of the 20B, known by its layers, the approximation.
  spec.activation = spec.layers == 44 ? Activation::gelu_tanh : Activation::gelu_erf;
  spec.parallel = metadata.boolean("use_parallel_residual", true);
  metadata.finish();
  return spec;
}

}  // namespace

const Family kGptNeox{.name = "gptneox",
                      .hf_architectures = kArchitectures,
                      .gguf_architecture = "gptneox",
                      .tensors = kTensors,
                      .hf_fused_by_group = true,
                      .from_hf = from_hf,
                      .from_gguf = from_gguf};

}  // namespace tutti
