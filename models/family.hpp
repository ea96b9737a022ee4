// What a model family is: how its sources name things and how they become a DecoderSpec.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string_view>

#include "models/decoder_spec.hpp"
#include "runtime/weights/tensor_source.hpp"

namespace tutti {

// One tensor, or one of each layer where the names hold "{}", the layer's number.
struct TensorRule {
  std::string_view name;  // canonical
  std::string_view hf;
  std::string_view gguf;
  bool row_parallel = false;  // stored [in, out]
  enum class Rotary : std::uint8_t { none, q, k } rotary = Rotary::none;
};

struct Family {
  std::string_view name;                               // "llama"
  std::span<const std::string_view> hf_architectures;  // config.json: architectures[0]
  std::string_view gguf_architecture;                  // general.architecture
  std::span<const TensorRule> tensors;
  // Errors: ModelFileError, naming the field that is missing or would change the arithmetic.
  DecoderSpec (*from_hf)(const nlohmann::json& config, const TensorSource& source);
  DecoderSpec (*from_gguf)(const nlohmann::json& metadata, const TensorSource& source);
};

// The families that are known, in the order in which they are listed to users.
std::span<const Family* const> families();

// One line each in registry.cpp, one file each in models/.
extern const Family kLlama;

}  // namespace tutti
