// OLMo 2: no norms before sublayers, norms behind them, and norms of queries and keys over all
// heads.
#include "models/common_rules.hpp"
#include "models/decoder_config.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 1> kArchitectures{"Olmo2ForCausalLM"};

constexpr std::array kTensors{rules::kEmbedding, rules::kFinalNorm,
                              rules::kHead,      rules::kQ,
                              rules::kK,         rules::kV,
                              rules::kO,         rules::kQNorm,
                              rules::kKNorm,     rules::kAttentionPostNorm,
                              rules::kGate,      rules::kUp,
                              rules::kDown,      rules::kMlpPostNorm};

DecoderSpec from_hf(const json& object, const TensorSource&) {
  const ConfigReader config(object, "config.json");
  config.only("hidden_act", "silu");
  DecoderSpec spec = read_hf_decoder(config, {.norm_eps = 1e-5});
  spec.qkv_bias = config.boolean("attention_bias", false);
  spec.o_bias = spec.qkv_bias;
  spec.norm_place = NormPlace::after;
  spec.qk_norm = QkNorm::projection;
  config.finish();
  return spec;
}

DecoderSpec from_gguf(const json& object, const TensorSource& source) {
  const ConfigReader metadata(object, "GGUF metadata", "olmo2.");
  DecoderSpec spec = read_gguf_decoder(metadata, source);
  metadata.only("attention.sliding_window", 0);
  spec.norm_place = NormPlace::after;
  spec.qk_norm = QkNorm::projection;
  metadata.finish();
  return spec;
}

}  // namespace

const Family kOlmo2{.name = "olmo2",
                    .hf_architectures = kArchitectures,
                    .gguf_architecture = "olmo2",
                    .tensors = kTensors,
                    .from_hf = from_hf,
                    .from_gguf = from_gguf};

}  // namespace tutti
