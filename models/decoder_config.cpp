#include "models/decoder_config.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "models/rotary_config.hpp"

namespace tutti {
namespace {

// A number, or one for each layer where all are the same.
std::int64_t layers_integer(const ConfigReader& metadata, const std::string& field,
                            std::int64_t fallback) {
  if (!metadata.has_array(field)) {
    return metadata.integer(field, fallback);
  }
  const std::vector<double> each = metadata.numbers(field);
  if (each.empty() || std::any_of(each.begin(), each.end(),
                                  [&each](double value) { return value != each.front(); })) {
    metadata.refuse(field, "the same for all layers");
  }
  return static_cast<std::int64_t>(each.front());
}

bool has(const TensorSource& source, std::string_view tensor) {
  return find_tensor(source, tensor) != nullptr;
}

}  // namespace

void ignore_hf_fields(const ConfigReader& config) {
  config.ignore({"architectures",
                 "model_type",
                 "torch_dtype",
                 "dtype",
                 "transformers_version",
                 "_name_or_path",
                 "_attn_implementation",
                 "_attn_implementation_autoset",
                 "auto_map",
                 "use_cache",
                 "return_dict",
                 "output_attentions",
                 "output_hidden_states",
                 "torchscript",
                 "is_decoder",
                 "is_encoder_decoder",
                 "chunk_size_feed_forward",
                 "id2label",
                 "label2id",
                 "num_labels",
                 "problem_type",
                 "finetuning_task",
                 "task_specific_params",
                 "tokenizer_class",
                 "prefix",
                 "name",
                 "unsloth_fixed",
                 "unsloth_version",
                 "cache_implementation",
                 "mlx_version"});
  config.ignore({"bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id",
                 "decoder_start_token_id", "initializer_range", "init_std", "attention_dropout",
                 "hidden_dropout", "embd_pdrop", "resid_pdrop", "attn_pdrop", "embedding_dropout",
                 "residual_dropout", "classifier_dropout", "gradient_checkpointing"});
  config.only("pruned_heads", nlohmann::json::object());
  config.only("add_cross_attention", false);
}

DecoderSpec read_hf_decoder(const ConfigReader& config, const HfDefaults& defaults) {
  ignore_hf_fields(config);
  config.ignore({"pretraining_tp", "max_length"});  // tp: a split that adds up to the same
  DecoderSpec spec;
  spec.layers = config.integer("num_hidden_layers");
  spec.hidden = config.integer("hidden_size");
  spec.q_heads = config.integer("num_attention_heads");
  spec.kv_heads = config.integer("num_key_value_heads",
                                 defaults.kv_heads > 0 ? defaults.kv_heads : spec.q_heads);
  const std::int64_t even = spec.q_heads > 0 ? spec.hidden / spec.q_heads : 0;
  spec.head_dim = config.integer("head_dim", defaults.head_dim > 0 ? defaults.head_dim : even);
  spec.ffn = config.integer("intermediate_size");
  spec.vocabulary = config.integer("vocab_size");
  spec.context_length = config.integer("max_position_embeddings", defaults.context_length);
  spec.norm_eps = config.number("rms_norm_eps", defaults.norm_eps);
  spec.tied_head = config.boolean("tie_word_embeddings", defaults.tied_head);
  read_hf_rotary_dim(config, defaults.rotary_share, spec);
  read_hf_rotary(config, defaults.rope_theta, spec);
  return spec;
}

void read_hf_rotary_dim(const ConfigReader& config, double fallback, DecoderSpec& spec) {
  double share = config.number("partial_rotary_factor", fallback);
  for (const char* field : {"rope_scaling", "rope_parameters"}) {
    if (config.has(field)) {
      share = config.object(field).number("partial_rotary_factor", share);
    }
  }
  const auto rotated = static_cast<std::int64_t>(static_cast<double>(spec.head_dim) * share);
  spec.rotary_dim = rotated == spec.head_dim ? 0 : rotated;
}

DecoderSpec read_gguf_decoder(const ConfigReader& metadata, const TensorSource& source) {
  DecoderSpec spec;
  spec.layers = metadata.integer("block_count");
  spec.hidden = metadata.integer("embedding_length");
  spec.q_heads = metadata.integer("attention.head_count");
  spec.kv_heads = layers_integer(metadata, "attention.head_count_kv", spec.q_heads);
  spec.head_dim =
      metadata.integer("attention.key_length", spec.q_heads > 0 ? spec.hidden / spec.q_heads : 0);
  metadata.only("attention.value_length", spec.head_dim);
  metadata.only("attention.causal", true);
  spec.ffn = metadata.integer("feed_forward_length");
  spec.context_length = metadata.integer("context_length");
  spec.norm_eps = metadata.has("attention.layer_norm_rms_epsilon")
                      ? metadata.number("attention.layer_norm_rms_epsilon")
                      : metadata.number("attention.layer_norm_epsilon");
  const SourceTensor* embedding = find_tensor(source, "token_embd.weight");
  spec.vocabulary = metadata.integer("vocab_size", embedding ? embedding->rows() : 0);
  spec.tied_head = !has(source, "output.weight");
  spec.qkv_bias = has(source, "blk.0.attn_qkv.bias") || has(source, "blk.0.attn_q.bias");
  spec.o_bias = has(source, "blk.0.attn_output.bias");
  read_gguf_rotary(metadata, source, spec);
  return spec;
}

DecoderSpec read_gguf_layernorm_decoder(const ConfigReader& metadata, const TensorSource& source) {
  DecoderSpec spec = read_gguf_decoder(metadata, source);
  spec.norm = NormKind::layer;
  spec.norm_bias = has(source, "output_norm.bias");
  spec.mlp_bias = has(source, "blk.0.ffn_down.bias");
  spec.gated = false;
  return spec;
}

Activation read_hf_activation(const ConfigReader& config, const std::string& field,
                              const std::string& fallback) {
  const std::string name = config.text(field, fallback);
  if (name == "silu") {
    return Activation::silu;
  }
  if (name == "gelu") {
    return Activation::gelu_erf;
  }
  if (name == "gelu_new" || name == "gelu_fast" || name == "gelu_pytorch_tanh") {
    return Activation::gelu_tanh;
  }
  if (name != "relu") {
    config.refuse(field, "silu, gelu, gelu_new, gelu_fast, gelu_pytorch_tanh or relu");
  }
  return Activation::relu;
}

void read_hf_experts(const ConfigReader& config, const HfExperts& defaults, DecoderSpec& spec) {
  const char* const count = config.has("num_experts") ? "num_experts" : "num_local_experts";
  spec.experts = config.integer(count, defaults.experts);
  spec.experts_per_token = config.integer("num_experts_per_tok", defaults.experts_per_token);
  if (defaults.ffn > 0) {
    spec.ffn = config.integer("moe_intermediate_size", defaults.ffn);
    spec.renormalise_experts = config.boolean("norm_topk_prob", false);
    config.only("decoder_sparse_step", 1);
    config.only("mlp_only_layers", nlohmann::json::array());
  }
  config.only("num_local_experts", spec.experts);
  config.ignore({"output_router_logits", "router_aux_loss_coef", "router_jitter_noise"});  // train
}

void read_gguf_experts(const ConfigReader& metadata, DecoderSpec& spec) {
  spec.experts = metadata.integer("expert_count");
  spec.experts_per_token = metadata.integer("expert_used_count");
  spec.ffn = metadata.integer("expert_feed_forward_length", spec.ffn);
}

void set_window(DecoderSpec& spec, std::int64_t tokens) {
  spec.window = tokens < spec.context_length ? tokens : 0;
}

void read_hf_window(const ConfigReader& config, DecoderSpec& spec) {
  set_window(spec, config.integer("sliding_window", 0));
}

void refuse_hf_window(const ConfigReader& config) {
  config.only("use_sliding_window", false);
  config.ignore({"sliding_window", "max_window_layers"});
  for (const std::string& type : config.texts("layer_types")) {
    if (type != "full_attention") {
      config.refuse("layer_types", "\"full_attention\" for all layers");
    }
  }
}

void read_hf_layer_types(const ConfigReader& config, DecoderSpec& spec) {
  const std::vector<std::string> types = config.texts("layer_types");
  if (types.empty()) {
    return;
  }
  if (std::ssize(types) != spec.layers) {
    config.refuse("layer_types", fmt::format("{} of them", spec.layers));
  }
  const auto first_full = std::find(types.begin(), types.end(), "full_attention");
  spec.full_attention_every = first_full == types.end() ? 0 : first_full - types.begin() + 1;
  for (std::int64_t i = 0; i < spec.layers; ++i) {
    const bool full = spec.full_attention_every > 0 && (i + 1) % spec.full_attention_every == 0;
    if (types[static_cast<std::size_t>(i)] != (full ? "full_attention" : "sliding_attention")) {
      config.refuse("layer_types",
                    "\"sliding_attention\" with \"full_attention\" at every n-th place");
    }
  }
  if (spec.full_attention_every == 1) {
    spec.window = 0;
    spec.full_attention_every = 0;
  }
}

}  // namespace tutti
