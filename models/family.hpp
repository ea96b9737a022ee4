// What a model family is: how its sources name things and how they become a DecoderSpec.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string_view>

#include "models/decoder_spec.hpp"
#include "runtime/weights/tensor_source.hpp"

namespace tutti {

// What of a source's tensor is wanted, where it holds several below each other.
enum class Part : std::uint8_t { whole, q, k, v, gate, up };

// One tensor, or one of each layer where the names hold "{}", the layer's number; of experts the
// name in safetensors holds another, the expert's. A bias, where the spec says that there is one,
// has no rule of its own: it is called as the weight is, with ".bias" in place of ".weight".
struct TensorRule {
  std::string_view name;  // canonical
  std::string_view hf;
  std::string_view gguf;
  bool row_parallel = false;  // stored [in, out]
  Part hf_part = Part::whole;
  Part gguf_part = Part::whole;
  std::string_view hf_other = {};  // what it is called where there is none of the first name
  std::string_view gguf_other = {};
  bool hf_in_out = false;    // safetensors hold the matrix [in, out] (GPT-2's Conv1D)
  bool hf_plus_one = false;  // safetensors hold a norm's weight less 1 (Gemma)
};

struct Family {
  std::string_view name;                               // "llama"
  std::span<const std::string_view> hf_architectures;  // config.json: architectures[0]
  std::string_view gguf_architecture;                  // general.architecture
  std::span<const TensorRule> tensors;
  bool gguf_interleaved = false;  // GGUF files hold the rows of q's and k's heads in rotary pairs
  bool gguf_mixture = false;      // GGUF files of this architecture that have experts
  // Fused q, k and v of safetensors: for each KV head the query heads that it serves, itself, its
  // values (GPT-NeoX, Falcon); else all of q, all of k, all of v.
  bool hf_fused_by_group = false;
  // Errors: ModelFileError, naming the field that is missing or would change the arithmetic.
  DecoderSpec (*from_hf)(const nlohmann::json& config, const TensorSource& source);
  DecoderSpec (*from_gguf)(const nlohmann::json& metadata, const TensorSource& source);
};

// The families that are known, in the order in which they are listed to users.
std::span<const Family* const> families();

// One line each in registry.cpp, one file each in models/.
extern const Family kFalcon;
extern const Family kGemma2;
extern const Family kGemma3;
extern const Family kGpt2;
extern const Family kGptNeox;
extern const Family kGranite;
extern const Family kLlama;
extern const Family kMistral;
extern const Family kMixtral;
extern const Family kMpt;
extern const Family kOlmo2;
extern const Family kPhi3;
extern const Family kQwen2;
extern const Family kQwen2Moe;
extern const Family kQwen3;
extern const Family kQwen3Moe;
extern const Family kStarcoder2;

}  // namespace tutti
