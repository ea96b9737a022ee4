// Qwen2 and Qwen2.5: Llama with biases of q, k and v.
#include "models/common_rules.hpp"
#include "models/decoder_config.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 1> kArchitectures{"Qwen2ForCausalLM"};

DecoderSpec from_hf(const json& object, const TensorSource&) {
  const ConfigReader config(object, "config.json");
  config.only("hidden_act", "silu");
  DecoderSpec spec = read_hf_decoder(config, {.kv_heads = 32, .context_length = 32768});
  refuse_hf_window(config);
  spec.qkv_bias = true;
  config.finish();
  return spec;
}

DecoderSpec from_gguf(const json& object, const TensorSource& source) {
  const ConfigReader metadata(object, "GGUF metadata", "qwen2.");
  DecoderSpec spec = read_gguf_decoder(metadata, source);
  spec.qkv_bias = true;
  metadata.finish();
  return spec;
}

}  // namespace

const Family kQwen2{.name = "qwen2",
                    .hf_architectures = kArchitectures,
                    .gguf_architecture = "qwen2",
                    .tensors = rules::kLlamaTensors,
                    .from_hf = from_hf,
                    .from_gguf = from_gguf};

}  // namespace tutti
