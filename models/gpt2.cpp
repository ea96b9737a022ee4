// GPT-2: LayerNorm, learned positions, biases everywhere; safetensors hold matrices [in, out].
#include "models/common_rules.hpp"
#include "models/decoder_config.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 1> kArchitectures{"GPT2LMHeadModel"};

constexpr TensorRule qkv(std::string_view name, Part part) {
  return {.name = name,
          .hf = "transformer.h.{}.attn.c_attn.weight",
          .gguf = "blk.{}.attn_qkv.weight",
          .hf_part = part,
          .gguf_part = part,
          .hf_in_out = true};
}

constexpr std::array kTensors{
    TensorRule{.name = "embedding", .hf = "transformer.wte.weight", .gguf = "token_embd.weight"},
    TensorRule{.name = "positions", .hf = "transformer.wpe.weight", .gguf = "position_embd.weight"},
    TensorRule{.name = "final_norm", .hf = "transformer.ln_f.weight", .gguf = "output_norm.weight"},
    rules::kHead,
    TensorRule{.name = "layers.{}.attention_norm",
               .hf = "transformer.h.{}.ln_1.weight",
               .gguf = "blk.{}.attn_norm.weight"},
    qkv("layers.{}.attention.q", Part::q),
    qkv("layers.{}.attention.k", Part::k),
    qkv("layers.{}.attention.v", Part::v),
    TensorRule{.name = "layers.{}.attention.o",
               .hf = "transformer.h.{}.attn.c_proj.weight",
               .gguf = "blk.{}.attn_output.weight",
               .row_parallel = true,
               .hf_in_out = true},
    TensorRule{.name = "layers.{}.mlp_norm",
               .hf = "transformer.h.{}.ln_2.weight",
               .gguf = "blk.{}.ffn_norm.weight"},
    TensorRule{.name = "layers.{}.mlp.up",
               .hf = "transformer.h.{}.mlp.c_fc.weight",
               .gguf = "blk.{}.ffn_up.weight",
               .hf_in_out = true},
    TensorRule{.name = "layers.{}.mlp.down",
               .hf = "transformer.h.{}.mlp.c_proj.weight",
               .gguf = "blk.{}.ffn_down.weight",
               .row_parallel = true,
               .hf_in_out = true}};

DecoderSpec from_hf(const json& object, const TensorSource&) {
  const ConfigReader config(object, "config.json");
  ignore_hf_fields(config);
  config.ignore({"n_ctx", "summary_type", "summary_use_proj", "summary_activation",
                 "summary_proj_to_labels", "summary_first_dropout", "reorder_and_upcast_attn"});
  config.only("scale_attn_weights", true);
  config.only("scale_attn_by_inverse_layer_idx", false);
  DecoderSpec spec;
  spec.layers = config.integer("n_layer");
  spec.hidden = config.integer("n_embd");
  spec.q_heads = config.integer("n_head");
  spec.kv_heads = spec.q_heads;
  spec.head_dim = spec.q_heads > 0 ? spec.hidden / spec.q_heads : 0;
  spec.ffn = config.integer("n_inner", 4 * spec.hidden);
  spec.vocabulary = config.integer("vocab_size");
  spec.context_length = config.integer("n_positions", 1024);
  spec.norm_eps = config.number("layer_norm_epsilon", 1e-5);
  spec.tied_head = config.boolean("tie_word_embeddings", true);
  spec.activation = read_hf_activation(config, "activation_function", "gelu_new");
  spec.positions = Positions::learned;
  spec.norm = NormKind::layer;
  spec.norm_bias = spec.qkv_bias = spec.o_bias = spec.mlp_bias = true;
  spec.gated = false;
  config.finish();
  return spec;
}

DecoderSpec from_gguf(const json& object, const TensorSource& source) {
  const ConfigReader metadata(object, "GGUF metadata", "gpt2.");
  DecoderSpec spec = read_gguf_layernorm_decoder(metadata, source);
  spec.activation = Activation::gelu_tanh;
  spec.positions = Positions::learned;
  metadata.finish();
  return spec;
}

}  // namespace

const Family kGpt2{.name = "gpt2",
                   .hf_architectures = kArchitectures,
                   .gguf_architecture = "gpt2",
                   .tensors = kTensors,
                   .from_hf = from_hf,
                   .from_gguf = from_gguf};

}  // namespace tutti
