// MPT: ALiBi, LayerNorm without biases, an MLP without a gate. What its repositories bring as code
// is never run.
#include "models/common_rules.hpp"
#include "models/decoder_config.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 2> kArchitectures{"MptForCausalLM", "MPTForCausalLM"};

constexpr TensorRule qkv(std::string_view name, Part part) {
  return {.name = name,
          .hf = "transformer.blocks.{}.attn.Wqkv.weight",
          .gguf = "blk.{}.attn_qkv.weight",
          .hf_part = part,
          .gguf_part = part};
}

constexpr std::array kTensors{
    TensorRule{.name = "embedding", .hf = "transformer.wte.weight", .gguf = "token_embd.weight"},
    TensorRule{
        .name = "final_norm", .hf = "transformer.norm_f.weight", .gguf = "output_norm.weight"},
    rules::kHead,
    TensorRule{.name = "layers.{}.attention_norm",
               .hf = "transformer.blocks.{}.norm_1.weight",
               .gguf = "blk.{}.attn_norm.weight"},
    qkv("layers.{}.attention.q", Part::q),
    qkv("layers.{}.attention.k", Part::k),
    qkv("layers.{}.attention.v", Part::v),
    TensorRule{.name = "layers.{}.attention.o",
               .hf = "transformer.blocks.{}.attn.out_proj.weight",
               .gguf = "blk.{}.attn_output.weight",
               .row_parallel = true},
    TensorRule{.name = "layers.{}.mlp_norm",
               .hf = "transformer.blocks.{}.norm_2.weight",
               .gguf = "blk.{}.ffn_norm.weight"},
    TensorRule{.name = "layers.{}.mlp.up",
               .hf = "transformer.blocks.{}.ffn.up_proj.weight",
               .gguf = "blk.{}.ffn_up.weight"},
    TensorRule{.name = "layers.{}.mlp.down",
               .hf = "transformer.blocks.{}.ffn.down_proj.weight",
               .gguf = "blk.{}.ffn_down.weight",
               .row_parallel = true}};

void read_attention(const ConfigReader& attention, DecoderSpec& spec) {
  if (!attention.boolean("alibi", true)) {
    attention.refuse("alibi", "true: the reference has no other positions");
  }
  attention.only("attn_type", "multihead_attention");
  attention.only("clip_qkv", nullptr);
  attention.only("prefix_lm", false);
  attention.only("qk_ln", false);
  attention.only("attn_uses_sequence_id", false);
  attention.ignore({"attn_pdrop", "attn_impl", "model_type"});
  spec.alibi_max_bias = attention.number("alibi_bias_max", 8);
  spec.attention_scale = attention.number("softmax_scale", 0);
}

DecoderSpec from_hf(const json& object, const TensorSource&) {
  const ConfigReader config(object, "config.json");
  ignore_hf_fields(config);
  config.ignore({"emb_pdrop", "resid_pdrop", "embedding_fraction", "init_config", "init_device",
                 "learned_pos_emb", "verbose", "use_pad_tok_in_ffn"});
  if (config.text("norm_type", "layernorm") != "layernorm") {
    config.only("norm_type", "low_precision_layernorm");
  }
  config.only("no_bias", true);
  config.only("logit_scale", nullptr);
  DecoderSpec spec;
  spec.layers = config.integer("n_layers");
  spec.hidden = config.integer("d_model");
  spec.q_heads = config.integer("n_heads");
  spec.kv_heads = spec.q_heads;
  spec.head_dim = spec.q_heads > 0 ? spec.hidden / spec.q_heads : 0;
  spec.ffn = config.integer("expansion_ratio", 4) * spec.hidden;
  spec.vocabulary = config.integer("vocab_size");
  spec.context_length = config.integer("max_seq_len", 2048);
  spec.norm_eps = config.number("layer_norm_epsilon", 1e-5);
  spec.tied_head = config.boolean("tie_word_embeddings", true);
  spec.activation = Activation::gelu_erf;
  spec.norm = NormKind::layer;
  spec.positions = Positions::alibi;
  spec.gated = false;
  if (config.has("attn_config")) {
    const ConfigReader attention = config.object("attn_config");
    read_attention(attention, spec);
    attention.finish();
  }
  config.finish();
  return spec;
}

DecoderSpec from_gguf(const json& object, const TensorSource& source) {
  const ConfigReader metadata(object, "GGUF metadata", "mpt.");
  metadata.only("attention.clamp_kqv", nullptr);
  DecoderSpec spec = read_gguf_layernorm_decoder(metadata, source);
  spec.alibi_max_bias = metadata.number("attention.max_alibi_bias", 8);
  spec.positions = Positions::alibi;
  spec.activation = Activation::gelu_erf;  // every MPT's; llama.cpp has but the approximation
  metadata.finish();
  return spec;
}

}  // namespace

const Family kMpt{.name = "mpt",
                  .hf_architectures = kArchitectures,
                  .gguf_architecture = "mpt",
                  .tensors = kTensors,
                  .from_hf = from_hf,
                  .from_gguf = from_gguf};

}  // namespace tutti
