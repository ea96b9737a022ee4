// The resolved architecture of a decoder: what `/config` of a model file says in canonical names.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "runtime/layers/rotary.hpp"
#include "runtime/shard/shard_plan.hpp"

namespace tutti {

// RMSNorm of queries and keys before they are rotated: of each head, or of all heads together.
enum class QkNorm : std::uint8_t { none, head, projection };

struct DecoderSpec {
  std::string architecture;  // family name: "llama"
  std::int64_t layers = 0;
  std::int64_t hidden = 0;
  std::int64_t q_heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t ffn = 0;
  std::int64_t vocabulary = 0;
  std::int64_t context_length = 0;
  double norm_eps = 1e-5;
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  bool tied_head = false;
  // What follows is written to JSON only where it differs from the value here, so that a model file
  // keeps its fingerprint when a field is added.
  bool qkv_bias = false;
  bool o_bias = false;
  QkNorm qk_norm = QkNorm::none;
  std::int64_t rotary_dim = 0;  // elements of a head that are rotated, the first; 0: all
  std::int64_t window = 0;      // tokens that a token attends to, itself included; 0: all
  std::int64_t full_attention_every =
      0;                         // n: every n-th layer has no window; 0: all layers have it
  double local_rope_theta = 0;   // of layers with a window, unscaled; 0: as the others
  double attention_scale = 0;    // of scores; 0: 1 / sqrt(head_dim)
  double attention_softcap = 0;  // bounds scores; 0: does not

  // Whether the matrix of this canonical name, or the norm, has a bias: NAME.bias.
  bool has_bias(std::string_view name) const;
  std::int64_t rotated() const { return rotary_dim > 0 ? rotary_dim : head_dim; }
  bool has_window(std::int64_t layer) const;
  ShardShape shard_shape() const;
  nlohmann::json to_json() const;
  // Errors: ModelFileError, naming the field and what is wrong with it, or that is not known.
  static DecoderSpec from_json(const nlohmann::json& config);

  friend bool operator==(const DecoderSpec&, const DecoderSpec&) = default;
};

}  // namespace tutti
