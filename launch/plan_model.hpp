// What a plan is made for: a model file, a source that nobody imported yet, or only a shape.
#pragma once

#include <optional>
#include <string>

#include "kernels/dtype.hpp"
#include "models/decoder_spec.hpp"

namespace tutti {

struct PlannedModel {
  enum class Kind : std::uint8_t { model_file, hf_folder, hf_config, gguf, shape };

  Kind kind = Kind::shape;
  std::string name;
  std::string fingerprint;  // of a model file; else empty
  DecoderSpec spec;
  DType dtype = DType::bf16;     // of most bytes of its matrices, as they will be loaded
  double matrix_bytes_each = 2;  // of one parameter of them; norms are f32 on every device
  std::uint64_t parameters = 0;
  std::uint64_t weight_bytes = 0;  // as loaded by one rank
};

// "a model file", "a shape, without weights", …
std::string kind_text(PlannedModel::Kind kind);

// `what` is a model file, a Hugging Face folder or its config.json, a GGUF file, or a shape by name
// or path (its JSON file). No weight is read. `dtype` is what it would be imported with; empty: its
// own (of a config.json what that says, of quantized GGUF files and of shapes bf16). Errors:
// ModelFileError, ConfigError where a name is not known.
PlannedModel planned_model(const std::string& what, std::optional<DType> dtype);

}  // namespace tutti
