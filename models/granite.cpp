// Granite: Llama with multipliers of embeddings, scores, sublayers and logits.
#include "models/common_rules.hpp"
#include "models/decoder_config.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 1> kArchitectures{"GraniteForCausalLM"};

DecoderSpec from_hf(const json& object, const TensorSource&) {
  const ConfigReader config(object, "config.json");
  config.only("hidden_act", "silu");
  config.only("mlp_bias", false);
  DecoderSpec spec = read_hf_decoder(config, {});
  spec.qkv_bias = config.boolean("attention_bias", false);
  spec.o_bias = spec.qkv_bias;
  spec.embedding_scale = config.number("embedding_multiplier", 1);
  spec.attention_scale = config.number("attention_multiplier", 1);
  spec.residual_scale = config.number("residual_multiplier", 1);
  spec.logit_scale = 1 / config.number("logits_scaling", 1);
  config.finish();
  return spec;
}

DecoderSpec from_gguf(const json& object, const TensorSource& source) {
  const ConfigReader metadata(object, "GGUF metadata", "granite.");
  metadata.only("rope.scaling.finetuned", true);  // false switches the rotation off
  // Granite 4 without state-space layers and experts keeps what those of its kind have.
  metadata.ignore({"ssm.conv_kernel", "ssm.state_size", "ssm.group_count", "ssm.inner_size",
                   "ssm.time_step_rank"});
  metadata.only("expert_count", 0);
  metadata.only("expert_used_count", 0);
  DecoderSpec spec = read_gguf_decoder(metadata, source);
  metadata.only("expert_shared_feed_forward_length", spec.ffn);
  spec.embedding_scale = metadata.number("embedding_scale", 1);
  spec.attention_scale = metadata.number("attention.scale", 0);
  spec.residual_scale = metadata.number("residual_scale", 1);
  spec.logit_scale = 1 / metadata.number("logit_scale", 1);
  metadata.finish();
  return spec;
}

}  // namespace

const Family kGranite{.name = "granite",
                      .hf_architectures = kArchitectures,
                      .gguf_architecture = "granite",
                      .tensors = rules::kLlamaTensors,
                      .gguf_interleaved = true,
                      .from_hf = from_hf,
                      .from_gguf = from_gguf};

}  // namespace tutti
