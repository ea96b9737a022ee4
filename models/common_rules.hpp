// The tensors that many families call by the same names.
#pragma once

#include <algorithm>
#include <array>

#include "models/family.hpp"

namespace tutti::rules {

inline constexpr TensorRule kEmbedding{"embedding", "model.embed_tokens.weight",
                                       "token_embd.weight"};
inline constexpr TensorRule kHead{"head", "lm_head.weight", "output.weight"};
inline constexpr TensorRule kFinalNorm{"final_norm", "model.norm.weight", "output_norm.weight"};
inline constexpr TensorRule kAttentionNorm{"layers.{}.attention_norm",
                                           "model.layers.{}.input_layernorm.weight",
                                           "blk.{}.attn_norm.weight"};
inline constexpr TensorRule kQ{"layers.{}.attention.q", "model.layers.{}.self_attn.q_proj.weight",
                               "blk.{}.attn_q.weight"};
inline constexpr TensorRule kK{"layers.{}.attention.k", "model.layers.{}.self_attn.k_proj.weight",
                               "blk.{}.attn_k.weight"};
inline constexpr TensorRule kV{"layers.{}.attention.v", "model.layers.{}.self_attn.v_proj.weight",
                               "blk.{}.attn_v.weight"};
inline constexpr TensorRule kO{.name = "layers.{}.attention.o",
                               .hf = "model.layers.{}.self_attn.o_proj.weight",
                               .gguf = "blk.{}.attn_output.weight",
                               .row_parallel = true};
inline constexpr TensorRule kQNorm{"layers.{}.attention.q_norm",
                                   "model.layers.{}.self_attn.q_norm.weight",
                                   "blk.{}.attn_q_norm.weight"};
inline constexpr TensorRule kKNorm{"layers.{}.attention.k_norm",
                                   "model.layers.{}.self_attn.k_norm.weight",
                                   "blk.{}.attn_k_norm.weight"};
inline constexpr TensorRule kMlpNorm{"layers.{}.mlp_norm",
                                     "model.layers.{}.post_attention_layernorm.weight",
                                     "blk.{}.ffn_norm.weight"};
// The same where norms stand on both sides of a sublayer.
inline constexpr TensorRule kMlpPreNorm{"layers.{}.mlp_norm",
                                        "model.layers.{}.pre_feedforward_layernorm.weight",
                                        "blk.{}.ffn_norm.weight"};
// Norms behind sublayers.
inline constexpr TensorRule kAttentionPostNorm{"layers.{}.attention_post_norm",
                                               "model.layers.{}.post_attention_layernorm.weight",
                                               "blk.{}.post_attention_norm.weight"};
inline constexpr TensorRule kMlpPostNorm{"layers.{}.mlp_post_norm",
                                         "model.layers.{}.post_feedforward_layernorm.weight",
                                         "blk.{}.post_ffw_norm.weight"};
inline constexpr TensorRule kGate{"layers.{}.mlp.gate", "model.layers.{}.mlp.gate_proj.weight",
                                  "blk.{}.ffn_gate.weight"};
inline constexpr TensorRule kUp{"layers.{}.mlp.up", "model.layers.{}.mlp.up_proj.weight",
                                "blk.{}.ffn_up.weight"};
inline constexpr TensorRule kDown{.name = "layers.{}.mlp.down",
                                  .hf = "model.layers.{}.mlp.down_proj.weight",
                                  .gguf = "blk.{}.ffn_down.weight",
                                  .row_parallel = true};

// Experts as Qwen calls them; the router is "gate" there.
inline constexpr TensorRule kRouter{"layers.{}.experts.router", "model.layers.{}.mlp.gate.weight",
                                    "blk.{}.ffn_gate_inp.weight"};
// Until April 2024 GGUF files had a tensor for each expert.
inline constexpr TensorRule kExpertGate{.name = "layers.{}.experts.gate",
                                        .hf = "model.layers.{}.mlp.experts.{}.gate_proj.weight",
                                        .gguf = "blk.{}.ffn_gate_exps.weight",
                                        .gguf_other = "blk.{}.ffn_gate.{}.weight"};
inline constexpr TensorRule kExpertUp{.name = "layers.{}.experts.up",
                                      .hf = "model.layers.{}.mlp.experts.{}.up_proj.weight",
                                      .gguf = "blk.{}.ffn_up_exps.weight",
                                      .gguf_other = "blk.{}.ffn_up.{}.weight"};
inline constexpr TensorRule kExpertDown{.name = "layers.{}.experts.down",
                                        .hf = "model.layers.{}.mlp.experts.{}.down_proj.weight",
                                        .gguf = "blk.{}.ffn_down_exps.weight",
                                        .row_parallel = true,
                                        .gguf_other = "blk.{}.ffn_down.{}.weight"};

// A norm whose checkpoint holds what is added to 1.
constexpr TensorRule plus_one(TensorRule rule) {
  rule.hf_plus_one = true;
  return rule;
}

// One list behind the other.
template <std::size_t N, std::size_t M>
constexpr std::array<TensorRule, N + M> joined(const std::array<TensorRule, N>& first,
                                               const std::array<TensorRule, M>& then) {
  std::array<TensorRule, N + M> rules{};
  std::copy(first.begin(), first.end(), rules.begin());
  std::copy(then.begin(), then.end(), rules.begin() + N);
  return rules;
}

// All of Llama's but its MLP, and all of it.
inline constexpr std::array kAllButMlp{kEmbedding, kFinalNorm, kHead, kAttentionNorm, kQ,
                                       kK,         kV,         kO,    kMlpNorm};
inline constexpr auto kLlamaTensors = joined(kAllButMlp, std::array{kGate, kUp, kDown});

}  // namespace tutti::rules
