#include "models/decoder_config.hpp"

#include "models/rotary_config.hpp"

namespace tutti {

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
  spec.head_dim = config.integer("head_dim", spec.q_heads > 0 ? spec.hidden / spec.q_heads : 0);
  spec.ffn = config.integer("intermediate_size");
  spec.vocabulary = config.integer("vocab_size");
  spec.context_length = config.integer("max_position_embeddings", defaults.context_length);
  spec.norm_eps = config.number("rms_norm_eps", defaults.norm_eps);
  spec.tied_head = config.boolean("tie_word_embeddings", defaults.tied_head);
  read_hf_rotary(config, defaults.rope_theta, spec);
  return spec;
}

DecoderSpec read_gguf_decoder(const ConfigReader& metadata, const TensorSource& source) {
  DecoderSpec spec;
  spec.layers = metadata.integer("block_count");
  spec.hidden = metadata.integer("embedding_length");
  spec.q_heads = metadata.integer("attention.head_count");
  spec.kv_heads = metadata.integer("attention.head_count_kv", spec.q_heads);
  spec.head_dim =
      metadata.integer("attention.key_length", spec.q_heads > 0 ? spec.hidden / spec.q_heads : 0);
  metadata.only("attention.value_length", spec.head_dim);
  spec.ffn = metadata.integer("feed_forward_length");
  spec.context_length = metadata.integer("context_length");
  spec.norm_eps = metadata.number("attention.layer_norm_rms_epsilon");
  const SourceTensor* embedding = find_tensor(source, "token_embd.weight");
  spec.vocabulary = metadata.integer("vocab_size", embedding ? embedding->rows() : 0);
  spec.tied_head = find_tensor(source, "output.weight") == nullptr;
  read_gguf_rotary(metadata, source, spec);
  return spec;
}

}  // namespace tutti
