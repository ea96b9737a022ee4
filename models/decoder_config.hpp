// The part of a source's configuration that nearly all decoders share.
#pragma once

#include "models/config_reader.hpp"

namespace tutti {

// What the reference's configuration class takes for a field that is missing.
struct HfDefaults {
  std::int64_t kv_heads = 0;  // 0: as many as query heads
  std::int64_t context_length = 2048;
  double norm_eps = 1e-6;
  double rope_theta = 10000;
  bool tied_head = false;
};

// Layers, sizes, heads, RMS epsilon, tied head and rotary positions under Llama's names, and the
// fields that every configuration may have without effect. Errors: ModelFileError.
DecoderSpec read_hf_decoder(const ConfigReader& config, const HfDefaults& defaults);

// The same of a GGUF file; the vocabulary is that of token_embd.weight and the head is tied where
// there is no output.weight.
DecoderSpec read_gguf_decoder(const ConfigReader& metadata, const TensorSource& source);

// Fields of config.json that train, generate or describe, and never compute a logit.
void ignore_hf_fields(const ConfigReader& config);

}  // namespace tutti
