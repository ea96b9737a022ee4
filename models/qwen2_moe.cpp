// Qwen2-MoE (Qwen1.5-MoE too): Qwen2 with a mixture of experts beside an MLP that all tokens share.
#include "models/common_rules.hpp"
#include "models/decoder_config.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 1> kArchitectures{"Qwen2MoeForCausalLM"};

constexpr auto kTensors = rules::joined(
    rules::kAllButMlp,
    std::array{
        rules::kRouter, rules::kExpertGate, rules::kExpertUp, rules::kExpertDown,
        TensorRule{"layers.{}.shared.router", "model.layers.{}.mlp.shared_expert_gate.weight",
                   "blk.{}.ffn_gate_inp_shexp.weight"},
        TensorRule{"layers.{}.shared.gate", "model.layers.{}.mlp.shared_expert.gate_proj.weight",
                   "blk.{}.ffn_gate_shexp.weight"},
        TensorRule{"layers.{}.shared.up", "model.layers.{}.mlp.shared_expert.up_proj.weight",
                   "blk.{}.ffn_up_shexp.weight"},
        TensorRule{.name = "layers.{}.shared.down",
                   .hf = "model.layers.{}.mlp.shared_expert.down_proj.weight",
                   .gguf = "blk.{}.ffn_down_shexp.weight",
                   .row_parallel = true}});

DecoderSpec from_hf(const json& object, const TensorSource&) {
  const ConfigReader config(object, "config.json");
  config.only("hidden_act", "silu");
  DecoderSpec spec = read_hf_decoder(config, {.kv_heads = 16, .context_length = 32768});
  refuse_hf_window(config);
  spec.qkv_bias = config.boolean("qkv_bias", true);
  read_hf_experts(config, {.experts = 60, .experts_per_token = 4, .ffn = 1408}, spec);
  spec.shared_ffn = config.integer("shared_expert_intermediate_size", 5632);
  config.finish();
  return spec;
}

DecoderSpec from_gguf(const json& object, const TensorSource& source) {
  const ConfigReader metadata(object, "GGUF metadata", "qwen2moe.");
  DecoderSpec spec = read_gguf_decoder(metadata, source);
  read_gguf_experts(metadata, spec);
  spec.renormalise_experts = false;
  spec.shared_ffn = metadata.integer("expert_shared_feed_forward_length");
  metadata.finish();
  return spec;
}

}  // namespace

const Family kQwen2Moe{.name = "qwen2_moe",
                       .hf_architectures = kArchitectures,
                       .gguf_architecture = "qwen2moe",
                       .tensors = kTensors,
                       .gguf_mixture = true,
                       .from_hf = from_hf,
                       .from_gguf = from_gguf};

}  // namespace tutti
