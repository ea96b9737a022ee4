// Qwen3-MoE: Qwen3 whose MLP is a mixture of experts.
#include "models/common_rules.hpp"
#include "models/decoder_config.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 1> kArchitectures{"Qwen3MoeForCausalLM"};

constexpr std::array kTensors{
    rules::kEmbedding,  rules::kFinalNorm, rules::kHead,      rules::kAttentionNorm,
    rules::kQ,          rules::kK,         rules::kV,         rules::kO,
    rules::kQNorm,      rules::kKNorm,     rules::kMlpNorm,   rules::kRouter,
    rules::kExpertGate, rules::kExpertUp,  rules::kExpertDown};

DecoderSpec from_hf(const json& object, const TensorSource&) {
  const ConfigReader config(object, "config.json");
  config.only("hidden_act", "silu");
  DecoderSpec spec = read_hf_decoder(config, {.kv_heads = 4, .context_length = 32768});
  refuse_hf_window(config);
  spec.qkv_bias = config.boolean("attention_bias", false);
  spec.o_bias = spec.qkv_bias;
  spec.qk_norm = QkNorm::head;
  read_hf_experts(config, {.experts = 128, .experts_per_token = 8, .ffn = 768}, spec);
  config.finish();
  return spec;
}

DecoderSpec from_gguf(const json& object, const TensorSource& source) {
  const ConfigReader metadata(object, "GGUF metadata", "qwen3moe.");
  DecoderSpec spec = read_gguf_decoder(metadata, source);
  spec.qk_norm = QkNorm::head;
  read_gguf_experts(metadata, spec);
  metadata.finish();
  return spec;
}

}  // namespace

const Family kQwen3Moe{.name = "qwen3_moe",
                       .hf_architectures = kArchitectures,
                       .gguf_architecture = "qwen3moe",
                       .tensors = kTensors,
                       .gguf_mixture = true,
                       .from_hf = from_hf,
                       .from_gguf = from_gguf};

}  // namespace tutti
