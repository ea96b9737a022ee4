// One rank's slices of a decoder's matrices, laid out as its layers want them. The tensors are
// filled when the loader finishes.
#pragma once

#include <string>

#include "models/decoder_spec.hpp"
#include "runtime/tensor/tensor.hpp"
#include "runtime/weights/weight_loader.hpp"

namespace tutti {

// Rows of the projections that belong to these heads.
Range head_rows(Range heads, const DecoderSpec& spec);

// [rows.size(), hidden] of embedding or head, stored [vocabulary, hidden].
Tensor load_table(WeightLoader& loader, const std::string& name, const DecoderSpec& spec,
                  Range rows);

// [positions of this rank, hidden] of learned positions, stored [context_length, hidden]; empty
// where there are none.
Tensor load_positions(WeightLoader& loader, const DecoderSpec& spec, const RankShare& share);

Norm load_norm(WeightLoader& loader, const std::string& name, const DecoderSpec& spec);

// [(q_heads + 2 kv_heads) * head_dim, hidden]: this rank's rows of q, k and v below each other.
// `layer` is the prefix "layers.N.".
Tensor load_qkv(WeightLoader& loader, const std::string& layer, const DecoderSpec& spec,
                const RankShare& share);

// [(q_heads + 2 kv_heads) * head_dim] f32: their biases, empty where there are none.
Tensor load_qkv_bias(WeightLoader& loader, const std::string& layer, const DecoderSpec& spec,
                     const RankShare& share);

// [head_dim] or, of all heads together, [heads.size() * head_dim] f32: the norm of q or k; `name`
// is "layers.N.attention.q_norm" and `heads_in_all` counts q's or k's heads.
Tensor load_qk_norm(WeightLoader& loader, const std::string& name, const DecoderSpec& spec,
                    std::int64_t heads_in_all, Range heads);

// An MLP whose weights are called PREFIX + "gate", "up" and "down".
struct MlpNames {
  std::string prefix;    // "layers.N.mlp."
  std::int64_t ffn = 0;  // columns in all
  Range columns;         // this rank's
};

// [2 * columns, hidden]: this rank's rows of gate and up below each other; without a gate [columns,
// hidden].
Tensor load_mlp_in(WeightLoader& loader, const MlpNames& names, const DecoderSpec& spec);

// As many f32 as that has rows: their biases, empty where there are none.
Tensor load_mlp_bias(WeightLoader& loader, const MlpNames& names, const DecoderSpec& spec);

// The same of this rank's experts, each [2 * columns, hidden], stored [experts * ffn, hidden].
Tensor load_experts_in(WeightLoader& loader, const std::string& layer, const DecoderSpec& spec,
                       const RankShare& share);
// Each [hidden, columns], stored [experts * ffn, hidden].
Tensor load_experts_down(WeightLoader& loader, const std::string& layer, const DecoderSpec& spec,
                         const RankShare& share);

// [rows, hidden] that every rank holds whole.
Tensor load_router(WeightLoader& loader, const std::string& name, const DecoderSpec& spec,
                   std::int64_t rows);

// [out, rows.size()] of a row-parallel weight, stored [in, out].
Tensor load_row_parallel(WeightLoader& loader, const std::string& name, std::int64_t in, Range rows,
                         std::int64_t out);

// [size] f32: the bias of a row-parallel weight, empty where there is none and on ranks but 0.
Tensor load_summand_bias(WeightLoader& loader, const std::string& name, const DecoderSpec& spec,
                         int rank);

}  // namespace tutti
