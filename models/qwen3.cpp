// Qwen3: Llama whose queries and keys are normalised, head by head.
#include "models/common_rules.hpp"
#include "models/decoder_config.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 1> kArchitectures{"Qwen3ForCausalLM"};

constexpr std::array kTensors{
    rules::kEmbedding, rules::kFinalNorm, rules::kHead, rules::kAttentionNorm, rules::kQ,
    rules::kK,         rules::kV,         rules::kO,    rules::kQNorm,         rules::kKNorm,
    rules::kMlpNorm,   rules::kGate,      rules::kUp,   rules::kDown};

DecoderSpec from_hf(const json& object, const TensorSource&) {
  const ConfigReader config(object, "config.json");
  config.only("hidden_act", "silu");
  DecoderSpec spec =
      read_hf_decoder(config, {.kv_heads = 32, .head_dim = 128, .context_length = 32768});
  refuse_hf_window(config);
  spec.qkv_bias = config.boolean("attention_bias", false);
  spec.o_bias = spec.qkv_bias;
  spec.qk_norm = QkNorm::head;
  config.finish();
  return spec;
}

DecoderSpec from_gguf(const json& object, const TensorSource& source) {
  const ConfigReader metadata(object, "GGUF metadata", "qwen3.");
  DecoderSpec spec = read_gguf_decoder(metadata, source);
  spec.qk_norm = QkNorm::head;
  metadata.finish();
  return spec;
}

}  // namespace

const Family kQwen3{.name = "qwen3",
                    .hf_architectures = kArchitectures,
                    .gguf_architecture = "qwen3",
                    .tensors = kTensors,
                    .from_hf = from_hf,
                    .from_gguf = from_gguf};

}  // namespace tutti
