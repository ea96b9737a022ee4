// The decoder that most families share: embedding, layers of attention and gated MLP, head.
#pragma once

#include <vector>

#include "models/decoder_spec.hpp"
#include "models/registry.hpp"
#include "runtime/layers/attention.hpp"
#include "runtime/layers/mlp.hpp"
#include "runtime/layers/vocabulary.hpp"
#include "runtime/weights/weight_loader.hpp"

namespace tutti {

class Decoder final : public Model {
 public:
  // Rank group.rank()'s share; its weights are there once the loader has finished. Errors:
  // ModelFileError, CapacityError.
  Decoder(const DecoderSpec& spec, const ShardPlan& plan, Device& device, Communicator& group,
          WeightLoader& loader, const ModelLimits& limits);

  TensorView forward(const Exec& exec, const StepPlan& plan, KvCache& cache) override;

  KvLayout kv_layout() const override;
  std::int64_t vocabulary() const override { return spec_.vocabulary; }
  std::int64_t context_length() const override { return spec_.context_length; }
  int max_step_tokens() const override { return limits_.max_step_tokens; }
  int max_logit_rows() const override { return limits_.max_logit_rows; }
  std::size_t weight_bytes() const override { return weight_bytes_; }
  std::size_t workspace_bytes() const override { return workspace_bytes_; }

 private:
  struct Layer {
    Tensor attention_norm;  // [hidden] f32
    AttentionLayer attention;
    Tensor mlp_norm;  // [hidden] f32
    GatedMlp mlp;
  };
  // Working memory for the largest step; a step uses the first rows.
  struct Workspace {
    Tensor residual;      // [tokens, hidden]
    Tensor x;             // [tokens, hidden]
    Tensor qkv;           // [tokens, qkv_columns]
    Tensor mix;           // [tokens, q_columns]
    Tensor gate_up;       // [tokens, 2 * ffn columns]
    Tensor gated;         // [tokens, ffn columns]
    Tensor last;          // [wanted, hidden]
    Tensor local_logits;  // [wanted, vocabulary rows of this rank]
    Tensor logits;        // [wanted, vocabulary] on rank 0
    Tensor scratch;       // for gemm
  };
  Layer load_layer(WeightLoader& loader, Communicator& group, std::int64_t index) const;
  Workspace make_workspace(Device& device, bool root) const;
  void run_layers(const Exec& exec, const StepTensors& step, KvCache& cache, std::int64_t tokens);

  DecoderSpec spec_;
  ModelLimits limits_;
  RankShare share_;
  AttentionShape attention_;
  Tensor kv_of_q_;   // [q_heads of this rank] i32
  Tensor inv_freq_;  // [head_dim / 2] f32
  Tensor embedding_table_;
  Tensor head_table_;  // empty where tied
  Tensor final_norm_;
  VocabParallelEmbedding embedding_;
  VocabParallelHead head_;
  std::vector<Layer> layers_;
  Workspace workspace_;
  std::size_t weight_bytes_ = 0;
  std::size_t workspace_bytes_ = 0;
};

}  // namespace tutti
