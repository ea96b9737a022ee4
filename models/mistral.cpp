// Mistral: Llama with attention to a sliding window. Its GGUF files say "llama" and keep no window.
#include "models/common_rules.hpp"
#include "models/decoder_config.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 1> kArchitectures{"MistralForCausalLM"};

DecoderSpec from_hf(const json& object, const TensorSource&) {
  const ConfigReader config(object, "config.json");
  config.only("hidden_act", "silu");
  DecoderSpec spec = read_hf_decoder(config, {.kv_heads = 8, .context_length = 131072});
  read_hf_window(config, spec);
  config.finish();
  return spec;
}

}  // namespace

const Family kMistral{.name = "mistral",
                      .hf_architectures = kArchitectures,
                      .gguf_architecture = "",
                      .tensors = rules::kLlamaTensors,
                      .from_hf = from_hf,
                      .from_gguf = nullptr};

}  // namespace tutti
