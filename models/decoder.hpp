// The decoder that most families share: embedding, layers of attention and gated MLP, head.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "models/attention_kinds.hpp"
#include "models/decoder_layer.hpp"
#include "models/decoder_spec.hpp"
#include "models/decoder_workspace.hpp"
#include "models/registry.hpp"
#include "runtime/engine/slot_inputs.hpp"
#include "runtime/engine/step_inputs.hpp"
#include "runtime/layers/vocabulary.hpp"
#include "runtime/weights/weight_loader.hpp"

namespace tutti {

class Decoder final : public Model {
 public:
  // Collective. Rank group.rank()'s share; its weights are there when the loader finishes. Errors:
  // ModelFileError, CapacityError.
  Decoder(const DecoderSpec& spec, const ShardPlan& plan, Device& device, Communicator& group,
          WeightLoader& loader, const ModelLimits& limits);

  // On a device, steps in which every sequence decodes one token are recorded once for each size of
  // batch (1, 2, 4, 8, 16, 24, …) and replayed, padded to that size.
  StepOutput forward(const StepPlan& plan, KvCache& cache) override;

  void wait(DeviceEvent& event) override;
  bool samples() const override { return device_.place() != Place::host; }
  Device& device() override { return device_; }
  KvLayout kv_layout() const override;
  std::int64_t vocabulary() const override { return spec_.vocabulary; }
  std::int64_t context_length() const override { return limits_.max_context; }
  int max_step_tokens() const override { return limits_.max_step_tokens; }
  int max_logit_rows() const override { return limits_.max_logit_rows; }
  ExpertLoad expert_load() override;
  std::size_t weight_bytes() const override;
  std::size_t workspace_bytes() const override;

 private:
  bool may_replay(const StepPlan& plan, const KvCache& cache);
  void compute(const StepTensors& step, KvCache& cache, std::int64_t wanted);
  void run_layers(const Exec& exec, const StepTensors& step, KvCache& cache);
  void enter_slots(const StepPlan& plan);
  StepOutput output(std::int64_t wanted) const;

  DecoderSpec spec_;
  ModelLimits limits_;
  Device& device_;
  Communicator& group_;
  RankShare share_;
  DecoderWorkspace
      workspace_;  // first, since taking it is collective: what fails later fails alone
  StepInputs inputs_;
  std::optional<SlotInputs> slot_inputs_;  // where the model samples
  Tensor kv_of_q_;                         // [q_heads of this rank] i32
  AttentionKinds attention_;
  Tensor embedding_table_;
  Tensor head_table_;      // empty where tied
  Tensor position_table_;  // empty where positions are not learned
  Norm final_norm_;
  VocabParallelEmbedding embedding_;
  VocabParallelHead head_;
  std::vector<DecoderLayer> layers_;
  std::map<std::int64_t, std::unique_ptr<DeviceGraph>> graphs_;  // by sequences
  // Where the recorded steps find keys and values: another cache wants other recordings.
  const void* recorded_pages_ = nullptr;
  int recorded_count_ = 0;
};

}  // namespace tutti
