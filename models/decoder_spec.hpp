// The resolved architecture of a decoder: what `/config` of a model file says in canonical names.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "kernels/activation_kind.hpp"
#include "runtime/layers/norm.hpp"
#include "runtime/layers/rotary.hpp"
#include "runtime/shard/shard_plan.hpp"

namespace tutti {

// RMSNorm of queries and keys before they are rotated: of each head, or of all heads together.
enum class QkNorm : std::uint8_t { none, head, projection };

// Norms of a sublayer: before it, before and after it (Gemma), or after it (OLMo 2). After it means
// before its result joins the residual stream.
enum class NormPlace : std::uint8_t { before, around, after };

// How a token's position gets in: rotations of queries and keys, rows added to the embedding, or
// biases of scores by distance.
enum class Positions : std::uint8_t { rotary, learned, alibi };

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
  NormKind norm = NormKind::rms;
  bool norm_bias = false;
  NormPlace norm_place = NormPlace::before;
  bool parallel = false;     // both sublayers read the same residual stream
  bool shared_norm = false;  // parallel ones through one norm, attention_norm
  Activation activation = Activation::silu;
  bool gated = true;
  bool mlp_bias = false;
  // A mixture of so many MLPs of `ffn` columns, of which a router picks some for each token
  // (Shazeer et al. 2017); 0: one MLP.
  std::int64_t experts = 0;
  std::int64_t experts_per_token = 0;
  bool renormalise_experts = true;  // the weights of a token's experts add up to 1
  // Columns of one more MLP for all tokens, weighted by a gate; 0: none.
  std::int64_t shared_ffn = 0;
  Positions positions = Positions::rotary;
  double alibi_max_bias = 8;  // alibi: the last slope is 2^-this where heads are a power of two
  double embedding_scale = 1;
  double residual_scale = 1;  // of what a sublayer adds
  double logit_scale = 1;
  double logit_softcap = 0;  // bounds logits; 0: does not

  // Whether the matrix of this canonical name, or the norm, has a bias: NAME.bias.
  bool has_bias(std::string_view name) const;
  // Whether a layer has the norm of this canonical name: "mlp_post_norm".
  bool has_norm(std::string_view name) const;
  std::int64_t rotated() const { return rotary_dim > 0 ? rotary_dim : head_dim; }
  bool has_window(std::int64_t layer) const;
  // Experts of a layer that a step of so many tokens reads, where the router likes all alike.
  double experts_read(double tokens) const;
  // Sums over the ranks that join the residual stream.
  std::int64_t sums() const { return layers * (parallel ? 1 : 2); }
  ShardShape shard_shape() const;
  nlohmann::json to_json() const;
  // Errors: ModelFileError, naming the field and what is wrong with it, or that is not known.
  static DecoderSpec from_json(const nlohmann::json& config);

  friend bool operator==(const DecoderSpec&, const DecoderSpec&) = default;
};

}  // namespace tutti
