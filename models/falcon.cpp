// Falcon: both sublayers read the same stream, through one norm (7B) or two (40B, 180B); few or one
// KV head. Its ALiBi variants are refused.
#include "models/common_rules.hpp"
#include "models/decoder_config.hpp"
#include "models/rotary_config.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 1> kArchitectures{"FalconForCausalLM"};

constexpr TensorRule qkv(std::string_view name, Part part) {
  return {.name = name,
          .hf = "transformer.h.{}.self_attention.query_key_value.weight",
          .gguf = "blk.{}.attn_qkv.weight",
          .hf_part = part,
          .gguf_part = part};
}

constexpr std::array kTensors{
    TensorRule{.name = "embedding",
               .hf = "transformer.word_embeddings.weight",
               .gguf = "token_embd.weight"},
    TensorRule{.name = "final_norm", .hf = "transformer.ln_f.weight", .gguf = "output_norm.weight"},
    rules::kHead,
    TensorRule{.name = "layers.{}.attention_norm",
               .hf = "transformer.h.{}.ln_attn.weight",
               .gguf = "blk.{}.attn_norm_2.weight",
               .hf_other = "transformer.h.{}.input_layernorm.weight",
               .gguf_other = "blk.{}.attn_norm.weight"},
    qkv("layers.{}.attention.q", Part::q),
    qkv("layers.{}.attention.k", Part::k),
    qkv("layers.{}.attention.v", Part::v),
    TensorRule{.name = "layers.{}.attention.o",
               .hf = "transformer.h.{}.self_attention.dense.weight",
               .gguf = "blk.{}.attn_output.weight",
               .row_parallel = true},
    TensorRule{.name = "layers.{}.mlp_norm",
               .hf = "transformer.h.{}.ln_mlp.weight",
               .gguf = "blk.{}.attn_norm.weight",
               .hf_other = "transformer.h.{}.post_attention_layernorm.weight"},
    TensorRule{.name = "layers.{}.mlp.up",
               .hf = "transformer.h.{}.mlp.dense_h_to_4h.weight",
               .gguf = "blk.{}.ffn_up.weight"},
    TensorRule{.name = "layers.{}.mlp.down",
               .hf = "transformer.h.{}.mlp.dense_4h_to_h.weight",
               .gguf = "blk.{}.ffn_down.weight",
               .row_parallel = true}};

DecoderSpec from_hf(const json& object, const TensorSource&) {
  const ConfigReader config(object, "config.json");
  ignore_hf_fields(config);
  config.only("alibi", false);
  DecoderSpec spec;
  spec.layers = config.integer("num_hidden_layers");
  spec.hidden = config.integer("hidden_size");
  spec.q_heads = config.integer("num_attention_heads");
  const bool grouped = config.boolean("new_decoder_architecture", false);
  const bool one = config.boolean("multi_query", true);
  const std::int64_t kv_heads = config.integer("num_kv_heads", spec.q_heads);
  spec.kv_heads = grouped ? kv_heads : one ? 1 : spec.q_heads;
  spec.head_dim = spec.q_heads > 0 ? spec.hidden / spec.q_heads : 0;
  spec.ffn = config.integer("ffn_hidden_size", 4 * spec.hidden);
  spec.vocabulary = config.integer("vocab_size");
  spec.context_length = config.integer("max_position_embeddings", 2048);
  spec.norm_eps = config.number("layer_norm_epsilon", 1e-5);
  spec.tied_head = config.boolean("tie_word_embeddings", true);
  spec.activation = read_hf_activation(config, "activation", "gelu");
  spec.parallel = config.boolean("parallel_attn", true) || grouped;
  spec.shared_norm =
      spec.parallel && config.integer("num_ln_in_parallel_attn", grouped ? 2 : 1) == 1;
  spec.norm = NormKind::layer;
  spec.norm_bias = true;
  spec.qkv_bias = config.boolean("bias", false);
  spec.o_bias = spec.mlp_bias = spec.qkv_bias;
  spec.gated = false;
  read_hf_rotary(config, 10000, spec);
  config.finish();
  return spec;
}

DecoderSpec from_gguf(const json& object, const TensorSource& source) {
  const ConfigReader metadata(object, "GGUF metadata", "falcon.");
  metadata.only("tensor_data_layout", "jploski");  // all of q, all of k, all of v
  DecoderSpec spec = read_gguf_layernorm_decoder(metadata, source);
  spec.activation = Activation::gelu_erf;  // every Falcon's; llama.cpp has but the approximation
  spec.parallel = true;
  spec.shared_norm = find_tensor(source, "blk.0.attn_norm_2.weight") == nullptr;
  metadata.finish();
  return spec;
}

}  // namespace

const Family kFalcon{.name = "falcon",
                     .hf_architectures = kArchitectures,
                     .gguf_architecture = "falcon",
                     .tensors = kTensors,
                     .hf_fused_by_group = true,
                     .from_hf = from_hf,
                     .from_gguf = from_gguf};

}  // namespace tutti
