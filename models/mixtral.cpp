// Mixtral: Mistral whose MLP is a mixture of experts.
#include "models/common_rules.hpp"
#include "models/decoder_config.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 1> kArchitectures{"MixtralForCausalLM"};

constexpr TensorRule spelled(TensorRule rule, std::string_view hf) {
  rule.hf = hf;
  return rule;
}

constexpr auto kTensors = rules::joined(
    rules::kAllButMlp,
    std::array{
        spelled(rules::kRouter, "model.layers.{}.block_sparse_moe.gate.weight"),
        spelled(rules::kExpertGate, "model.layers.{}.block_sparse_moe.experts.{}.w1.weight"),
        spelled(rules::kExpertUp, "model.layers.{}.block_sparse_moe.experts.{}.w3.weight"),
        spelled(rules::kExpertDown, "model.layers.{}.block_sparse_moe.experts.{}.w2.weight")});

DecoderSpec from_hf(const json& object, const TensorSource&) {
  const ConfigReader config(object, "config.json");
  config.only("hidden_act", "silu");
  DecoderSpec spec = read_hf_decoder(
      config, {.kv_heads = 8, .context_length = 131072, .norm_eps = 1e-5, .rope_theta = 1e6});
  read_hf_window(config, spec);
  read_hf_experts(config, {.experts = 8, .experts_per_token = 2}, spec);
  config.finish();
  return spec;
}

DecoderSpec from_gguf(const json& object, const TensorSource& source) {
  const ConfigReader metadata(object, "GGUF metadata", "llama.");
  DecoderSpec spec = read_gguf_decoder(metadata, source);
  read_gguf_experts(metadata, spec);
  metadata.finish();
  return spec;
}

}  // namespace

const Family kMixtral{.name = "mixtral",
                      .hf_architectures = kArchitectures,
                      .gguf_architecture = "llama",
                      .tensors = kTensors,
                      .gguf_interleaved = true,
                      .gguf_mixture = true,
                      .from_hf = from_hf,
                      .from_gguf = from_gguf};

}  // namespace tutti
