// The Llama family: RMSNorm, rotary positions, grouped-query attention, SwiGLU.
#include <array>

#include "models/config_reader.hpp"
#include "models/family.hpp"

namespace tutti {
namespace {

using nlohmann::json;
using Rotary = TensorRule::Rotary;

constexpr std::array<std::string_view, 1> kArchitectures{"LlamaForCausalLM"};

constexpr std::array<TensorRule, 12> kTensors{{
    {"embedding", "model.embed_tokens.weight", "token_embd.weight"},
    {"final_norm", "model.norm.weight", "output_norm.weight"},
    {.name = "head", .hf = "lm_head.weight", .gguf = "output.weight"},
    {"layers.{}.attention_norm", "model.layers.{}.input_layernorm.weight",
     "blk.{}.attn_norm.weight"},
    {.name = "layers.{}.attention.q",
     .hf = "model.layers.{}.self_attn.q_proj.weight",
     .gguf = "blk.{}.attn_q.weight",
     .rotary = Rotary::q},
    {.name = "layers.{}.attention.k",
     .hf = "model.layers.{}.self_attn.k_proj.weight",
     .gguf = "blk.{}.attn_k.weight",
     .rotary = Rotary::k},
    {"layers.{}.attention.v", "model.layers.{}.self_attn.v_proj.weight", "blk.{}.attn_v.weight"},
    {.name = "layers.{}.attention.o",
     .hf = "model.layers.{}.self_attn.o_proj.weight",
     .gguf = "blk.{}.attn_output.weight",
     .row_parallel = true},
    {"layers.{}.mlp_norm", "model.layers.{}.post_attention_layernorm.weight",
     "blk.{}.ffn_norm.weight"},
    {"layers.{}.mlp.gate", "model.layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight"},
    {"layers.{}.mlp.up", "model.layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight"},
    {.name = "layers.{}.mlp.down",
     .hf = "model.layers.{}.mlp.down_proj.weight",
     .gguf = "blk.{}.ffn_down.weight",
     .row_parallel = true},
}};

DecoderSpec from_hf(const json& object, const TensorSource&) {
  const ConfigReader config(object, "config.json");
  config.only("hidden_act", "silu");
  config.only("attention_bias", false);
  config.only("mlp_bias", false);
  config.only("partial_rotary_factor", 1.0);
  DecoderSpec spec;
  spec.layers = config.integer("num_hidden_layers");
  spec.hidden = config.integer("hidden_size");
  spec.q_heads = config.integer("num_attention_heads");
  spec.kv_heads = config.integer("num_key_value_heads", spec.q_heads);
  spec.head_dim = config.integer("head_dim", spec.q_heads > 0 ? spec.hidden / spec.q_heads : 0);
  spec.ffn = config.integer("intermediate_size");
  spec.vocabulary = config.integer("vocab_size");
  spec.context_length = config.integer("max_position_embeddings", 2048);
  spec.norm_eps = config.number("rms_norm_eps", 1e-6);
  spec.tied_head = config.boolean("tie_word_embeddings", false);
  read_hf_rotary(config, 10000, spec);
  return spec;
}

DecoderSpec from_gguf(const json& object, const TensorSource& source) {
  const ConfigReader metadata(object, "GGUF metadata");
  metadata.only("llama.expert_count", 0);
  DecoderSpec spec;
  spec.layers = metadata.integer("llama.block_count");
  spec.hidden = metadata.integer("llama.embedding_length");
  spec.q_heads = metadata.integer("llama.attention.head_count");
  spec.kv_heads = metadata.integer("llama.attention.head_count_kv", spec.q_heads);
  spec.head_dim = metadata.integer("llama.attention.key_length",
                                   spec.q_heads > 0 ? spec.hidden / spec.q_heads : 0);
  metadata.only("llama.attention.value_length", spec.head_dim);
  spec.ffn = metadata.integer("llama.feed_forward_length");
  spec.context_length = metadata.integer("llama.context_length");
  spec.norm_eps = metadata.number("llama.attention.layer_norm_rms_epsilon");
  const SourceTensor* embedding = find_tensor(source, "token_embd.weight");
  spec.vocabulary = metadata.integer("llama.vocab_size", embedding ? embedding->rows() : 0);
  spec.tied_head = find_tensor(source, "output.weight") == nullptr;
  read_gguf_rotary(metadata, "llama.", source, spec);
  return spec;
}

}  // namespace

const Family kLlama{.name = "llama",
                    .hf_architectures = kArchitectures,
                    .gguf_architecture = "llama",
                    .tensors = kTensors,
                    .from_hf = from_hf,
                    .from_gguf = from_gguf};

}  // namespace tutti
