// StarCoder2: LayerNorm, an MLP without a gate, biases everywhere, a window.
#include "models/common_rules.hpp"
#include "models/decoder_config.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 1> kArchitectures{"Starcoder2ForCausalLM"};

constexpr auto kTensors = rules::joined(
    rules::kAllButMlp, std::array{TensorRule{"layers.{}.mlp.up", "model.layers.{}.mlp.c_fc.weight",
                                             "blk.{}.ffn_up.weight"},
                                  TensorRule{.name = "layers.{}.mlp.down",
                                             .hf = "model.layers.{}.mlp.c_proj.weight",
                                             .gguf = "blk.{}.ffn_down.weight",
                                             .row_parallel = true}});

DecoderSpec from_hf(const json& object, const TensorSource&) {
  const ConfigReader config(object, "config.json");
  DecoderSpec spec = read_hf_decoder(
      config, {.kv_heads = 2, .context_length = 4096, .norm_eps = 1e-5, .tied_head = true});
  spec.norm_eps = config.number("norm_epsilon", 1e-5);
  read_hf_window(config, spec);
  spec.activation = read_hf_activation(config, "hidden_act", "gelu_pytorch_tanh");
  config.only("norm_type", "layer_norm");
  config.only("mlp_type", "default");
  spec.norm = NormKind::layer;
  spec.norm_bias = true;
  spec.gated = false;
  spec.qkv_bias = config.boolean("use_bias", true);
  spec.o_bias = spec.qkv_bias;
  spec.mlp_bias = spec.qkv_bias;
  config.finish();
  return spec;
}

DecoderSpec from_gguf(const json& object, const TensorSource& source) {
  const ConfigReader metadata(object, "GGUF metadata", "starcoder2.");
  DecoderSpec spec = read_gguf_layernorm_decoder(metadata, source);
  spec.activation = Activation::gelu_tanh;
  set_window(spec, metadata.integer("attention.sliding_window", 0));
  metadata.finish();
  return spec;
}

}  // namespace

const Family kStarcoder2{.name = "starcoder2",
                         .hf_architectures = kArchitectures,
                         .gguf_architecture = "starcoder2",
                         .tensors = kTensors,
                         .from_hf = from_hf,
                         .from_gguf = from_gguf};

}  // namespace tutti
