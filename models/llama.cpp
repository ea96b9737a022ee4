// The Llama family: RMSNorm, rotary positions, grouped-query attention, SwiGLU.
#include "models/common_rules.hpp"
#include "models/decoder_config.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 1> kArchitectures{"LlamaForCausalLM"};

DecoderSpec from_hf(const json& object, const TensorSource&) {
  const ConfigReader config(object, "config.json");
  config.only("hidden_act", "silu");
  config.only("mlp_bias", false);
  DecoderSpec spec = read_hf_decoder(config, {});
  spec.qkv_bias = config.boolean("attention_bias", false);
  spec.o_bias = spec.qkv_bias;
  config.finish();
  return spec;
}

DecoderSpec from_gguf(const json& object, const TensorSource& source) {
  const ConfigReader metadata(object, "GGUF metadata", "llama.");
  metadata.only("expert_count", 0);
  metadata.only("expert_used_count", 0);
  metadata.only("tensor_data_layout", "Meta AI original pth");  // the interleaved one
  DecoderSpec spec = read_gguf_decoder(metadata, source);
  metadata.finish();
  return spec;
}

}  // namespace

const Family kLlama{.name = "llama",
                    .hf_architectures = kArchitectures,
                    .gguf_architecture = "llama",
                    .tensors = rules::kLlamaTensors,
                    .gguf_interleaved = true,
                    .from_hf = from_hf,
                    .from_gguf = from_gguf};

}  // namespace tutti
