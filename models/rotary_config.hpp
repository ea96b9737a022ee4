// Rotary positions as sources describe them.
#pragma once

#include "models/config_reader.hpp"

namespace tutti {

// config.json's rotary fields: `rope_parameters` (transformers 5) or `rope_theta` and
// `rope_scaling` beside each other. Fills rope_theta and rope_scaling; wants context_length.
// Errors: ModelFileError.
void read_hf_rotary(const ConfigReader& config, double default_theta, DecoderSpec& spec);

// One object of rotary fields; `field` is what config.json calls it.
void read_hf_rotary_object(const ConfigReader& config, const ConfigReader& rotary,
                           const std::string& field, DecoderSpec& spec);

// A GGUF file's rotary fields, and its rope_freqs or rope_factors tensors where there are any.
void read_gguf_rotary(const ConfigReader& metadata, const TensorSource& source, DecoderSpec& spec);

}  // namespace tutti
