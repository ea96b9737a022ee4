// A model whose logits are a hash of the token before and its position: no layers, but real
// sampling, on a device without hardware or left to the engine.
#pragma once

#include "kernels/sample_rows.hpp"
#include "kernels/sample_slots.hpp"
#include "runtime/engine/model.hpp"
#include "runtime/engine/slot_inputs.hpp"
#include "runtime/engine/step_inputs.hpp"
#include "runtime/tensor/tensor.hpp"
#include "tests/support/lazy_device.hpp"

namespace tutti::test {

class LogitModel final : public Model {
 public:
  static constexpr int kVocabulary = 601;
  static constexpr int kContext = 128;

  LogitModel(bool samples, int step_tokens, int rows)
      : device_(samples ? std::make_unique<LazyDevice>() : make_host_device(1)),
        samples_(samples),
        step_tokens_(step_tokens),
        rows_(rows),
        inputs_(*device_,
                {.tokens = step_tokens,
                 .sequences = rows,
                 .wanted = rows,
                 .max_blocks = KvLayout{}.pages_for(kContext)},
                samples),
        slot_inputs_(*device_, rows, kContext),
        logits_(*device_, DType::f32, {rows, kVocabulary}),
        ids_(*device_, DType::i32, {rows}),
        last_(*device_, DType::i32, {rows}),
        tallies_(*device_, DType::i32, {rows, tally_words(kVocabulary)}),
        biases_(*device_, DType::i32, {rows, kSampleMostBiases, 2}) {}

  StepOutput forward(const StepPlan& plan, KvCache&) override {
    slot_inputs_.upload(plan, [this](const TensorView& entries, const TensorView& pairs) {
      run([this, entries, pairs] {
        sample_slots({}, {.entries = on_host(entries),
                          .pairs = on_host(pairs),
                          .tallies = on_host(tallies_.view()),
                          .biases = on_host(biases_.view())});
      });
    });
    const StepTensors step = inputs_.upload(plan, StepExtents::of(plan));
    run([this, step] { compute(step); });
    StepOutput output{.logits = logits_.view().row_slice({0, plan.wanted()}), .ids = {}};
    if (samples_) {
      output.ids = ids_.view().row_slice({0, plan.wanted()});
    }
    return output;
  }
  void wait(DeviceEvent& event) override { event.wait(); }
  bool samples() const override { return samples_; }
  Device& device() override { return *device_; }
  KvLayout kv_layout() const override { return {.layers = 1, .kv_heads = 1, .head_dim = 1}; }
  std::int64_t vocabulary() const override { return kVocabulary; }
  std::int64_t context_length() const override { return kContext; }
  int max_step_tokens() const override { return step_tokens_; }
  int max_logit_rows() const override { return rows_; }
  std::size_t weight_bytes() const override { return 0; }
  std::size_t workspace_bytes() const override { return 0; }

 private:
  static TensorView on_host(TensorView view) {
    view.place = Place::host;
    return view;
  }
  static std::int32_t at(const TensorView& view, std::int64_t i) {
    return static_cast<const std::int32_t*>(view.data)[i];
  }
  void run(std::function<void()> work) {
    if (samples_) {
      static_cast<LazyDevice&>(*device_).enqueue(std::move(work));
    } else {
      work();
    }
  }

  void compute(const StepTensors& step) {
    for (std::int64_t row = 0; row < step.logit_rows.elements(); ++row) {
      const std::int32_t token = at(step.logit_rows, row);
      const std::int32_t source = at(step.sources, token);
      const std::int32_t id = source < 0 ? at(step.ids, token) : at(last_.view(), source);
      fill(logits_.view().row<float>(row), id, at(step.positions, token));
    }
    if (samples_ && step.logit_rows.elements() > 0) {
      const Range rows{0, step.logit_rows.elements()};
      sample_rows({}, {.logits = on_host(logits_.view().row_slice(rows)),
                       .rules = on_host(step.rules),
                       .tallies = on_host(tallies_.view()),
                       .biases = on_host(biases_.view()),
                       .ids = on_host(ids_.view().row_slice(rows)),
                       .last = on_host(last_.view())});
    }
  }

  // A few large ones, those of some 40 ids more often: answers repeat themselves.
  static void fill(float* logits, std::int32_t before, std::int32_t position) {
    for (std::int32_t id = 0; id < kVocabulary; ++id) {
      std::uint32_t hash = static_cast<std::uint32_t>(id) * 2654435761U ^
                           static_cast<std::uint32_t>(before) * 40503U ^
                           static_cast<std::uint32_t>(position % 5) * 2246822519U;
      hash = (hash ^ (hash >> 15)) * 2246822519U;
      hash ^= hash >> 13;
      const float x = static_cast<float>(hash % 2001) * 0.001F - 1;
      logits[id] = 9 * x * x * x + (id % 15 == 0 ? 1.5F : 0);
    }
  }

  std::unique_ptr<Device> device_;
  bool samples_;
  int step_tokens_;
  int rows_;
  StepInputs inputs_;
  SlotInputs slot_inputs_;
  Tensor logits_, ids_, last_, tallies_, biases_;
};

}  // namespace tutti::test
