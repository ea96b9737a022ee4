// Strict reading of a source's configuration: what is missing or would change the arithmetic is
// named, never guessed.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "models/decoder_spec.hpp"
#include "runtime/weights/tensor_source.hpp"

namespace tutti {

// Fields of one JSON object. null counts as missing. Errors: ModelFileError.
class ConfigReader {
 public:
  ConfigReader(const nlohmann::json& object, std::string where);

  bool has(const std::string& field) const;
  std::int64_t integer(const std::string& field) const;
  std::int64_t integer(const std::string& field, std::int64_t fallback) const;
  double number(const std::string& field) const;
  double number(const std::string& field, double fallback) const;
  bool boolean(const std::string& field, bool fallback) const;
  std::string text(const std::string& field, const std::string& fallback) const;
  ConfigReader object(const std::string& field) const;

  // Refuses the source unless the field is missing or has the only value that is understood.
  void only(const std::string& field, const nlohmann::json& understood) const;

 private:
  const nlohmann::json& at(const std::string& field) const;
  [[noreturn]] void refuse(const std::string& field, const std::string& wanted) const;

  const nlohmann::json* object_;
  std::string where_;
};

// config.json's rotary fields: `rope_parameters` (transformers 5) or `rope_theta` and
// `rope_scaling` beside each other. Fills rope_theta and rope_scaling.
void read_hf_rotary(const ConfigReader& config, double default_theta, DecoderSpec& spec);

// A GGUF file's rotary fields under `prefix`, and its rope_freqs tensor where there is one.
void read_gguf_rotary(const ConfigReader& metadata, const std::string& prefix,
                      const TensorSource& source, DecoderSpec& spec);

// The source's tensor of that name, or null.
const SourceTensor* find_tensor(const TensorSource& source, std::string_view name);

}  // namespace tutti
