// The working memory of a decoder's step, taken once for the largest step.
#pragma once

#include "models/decoder_spec.hpp"
#include "models/registry.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/layers/attention.hpp"
#include "runtime/layers/experts.hpp"
#include "runtime/tensor/tensor.hpp"

namespace tutti {

// A step uses the first rows. Activations are f32 on the host and of the weights' type on a device.
struct DecoderWorkspace {
  // Collective: x is shared memory of the group. `dtype` is that of the activations.
  DecoderWorkspace(Device& device, Communicator& group, const DecoderSpec& spec,
                   const RankShare& share, const ModelLimits& limits, DType dtype);

  std::size_t bytes() const;

  Tensor residual;      // [tokens, hidden] f32
  Tensor x;             // [tokens, hidden]: what the ranks add up
  Tensor side;          // [tokens, hidden] f32 where sublayers are parallel; else no rows
  Tensor qkv;           // [tokens, qkv_columns]
  Tensor mix;           // [tokens, q_columns]
  Tensor squares;       // [tokens, 2] f32 where q and k are normed over all heads; else no rows
  Tensor gate_up;       // [tokens, 2 * columns] of the MLP, or of the one beside the experts
  Tensor gated;         // [tokens, columns] of the same
  Tensor last;          // [wanted, hidden]
  Tensor local_logits;  // [wanted, vocabulary rows of this rank] f32
  Tensor logits;        // [wanted, vocabulary] f32; on the host on rank 0 only
  Tensor scratch;       // host: for gemm
  ExpertBuffers experts;
  // Where the model samples; else without rows.
  Tensor ids;       // [wanted] i32: sampled
  Tensor last_ids;  // [sequence slots] i32: SampleRowsArgs::last
  Tensor tallies;   // [sequence slots, tally_words(vocabulary)] i32
  Tensor biases;    // [sequence slots, kSampleMostBiases, 2] i32
};

// Floats of its scratch on a host.
std::int64_t decoder_scratch_floats(const DecoderSpec& spec, const RankShare& share, int threads);

// DecoderWorkspace::bytes() on a device, for a plan of its memory.
std::uint64_t decoder_workspace_bytes(const DecoderSpec& spec, const RankShare& share,
                                      const ModelLimits& limits, DType dtype);

}  // namespace tutti
