// One layer of a decoder: attention and MLP between the norms that the spec puts around them.
#pragma once

#include "models/decoder_spec.hpp"
#include "models/decoder_workspace.hpp"
#include "runtime/layers/attention.hpp"
#include "runtime/layers/experts.hpp"
#include "runtime/layers/mlp.hpp"
#include "runtime/layers/norm.hpp"
#include "runtime/weights/weight_loader.hpp"

namespace tutti {

// Rank `rank`'s part.
struct DecoderLayer {
  DecoderLayer(WeightLoader& loader, std::int64_t index, const DecoderSpec& spec,
               const RankShare& share, int rank);

  // What x must have gone through when the layer begins; empty where that is the residual stream.
  const Norm& entry(const DecoderSpec& spec) const {
    return spec.parallel && !spec.shared_norm ? mlp_norm : attention_norm;
  }
  std::size_t bytes() const;

  Norm attention_norm;  // each may be empty: see NormPlace
  AttentionLayer attention;
  Norm attention_post_norm;
  Norm mlp_norm;
  std::optional<Mlp> mlp;  // one of the two
  std::optional<Experts> experts;
  Norm mlp_post_norm;
};

// What a step's layers work on. All views have the step's rows.
struct LayerStep {
  const DecoderSpec& spec;
  const StepTensors& step;
  KvCache& cache;
  Communicator& group;
  TensorView x;         // [tokens, hidden], through the layer's entry norm
  TensorView residual;  // [tokens, hidden] f32
  TensorView side;      // the same; where sublayers are parallel
  AttentionLayer::Workspace attention;
  Mlp::Workspace mlp;  // of the shared one where there are experts
  const ExpertBuffers& experts;
};

// Collective. Layer number `index` of this rank's; leaves x through `next`, the entry norm of the
// layer behind it or the last norm.
void run_layer(const Exec& exec, const DecoderLayer& layer, const AttentionShape& shape, int index,
               const LayerStep& at, const Norm& next);

}  // namespace tutti
