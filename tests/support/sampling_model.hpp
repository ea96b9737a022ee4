// A model that samples without computing: the next token is a function of a request's seed and the
// position. It keeps what a real one keeps (tokens in cache slots, last ids, tallies) and checks
// that every plan leads it to exactly what its request has heard so far.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <map>

#include "kernels/sample_rows.hpp"
#include "kernels/sample_slots.hpp"
#include "runtime/engine/model.hpp"
#include "runtime/engine/request.hpp"
#include "runtime/engine/slot_inputs.hpp"
#include "runtime/engine/step_inputs.hpp"
#include "runtime/tensor/tensor.hpp"
#include "tests/support/lazy_device.hpp"

namespace tutti::test {

// The token at `position` of the request of this seed, prompts counted; -1: a logit is NaN there.
using Oracle = std::function<TokenId(std::uint64_t seed, std::size_t position)>;

class SamplingModel final : public Model {
 public:
  static constexpr std::int64_t kVocabulary = 259;
  static constexpr int kTallyWords = static_cast<int>(tally_words(kVocabulary));
  static constexpr int kContext = 128;

  SamplingModel(std::unique_ptr<Device> device, Oracle oracle, int step_tokens, int rows)
      : device_(std::move(device)),
        lazy_(dynamic_cast<LazyDevice*>(device_.get())),
        oracle_(std::move(oracle)),
        step_tokens_(step_tokens),
        rows_(rows),
        inputs_(*device_,
                {.tokens = step_tokens,
                 .sequences = rows,
                 .wanted = rows,
                 .max_blocks = KvLayout{}.pages_for(kContext)},
                true),
        slot_inputs_(*device_, rows, kContext),
        logits_(*device_, DType::f32, {rows, kVocabulary}),
        ids_(*device_, DType::i32, {rows}),
        last_(static_cast<std::size_t>(rows), -1),
        tallies_(static_cast<std::size_t>(rows * kTallyWords)),
        biases_(static_cast<std::size_t>(rows * 2 * kSampleMostBiases)) {}

  // Before it is submitted: what the plans for this seed must hold.
  void expect(const Request& request) { prompts_[request.options.seed] = request.prompt; }

  StepOutput forward(const StepPlan& plan, KvCache& cache) override {
    page_ = cache.layout().page_size;
    kv_.resize(static_cast<std::size_t>(cache.pages() * page_), -1);
    most_ahead_ = std::max(most_ahead_, launched_ - executed_);
    ++launched_;
    entered_ += plan.slot_entries.size() / static_cast<std::size_t>(kSampleSlotWords);
    slot_inputs_.upload(plan, [this](TensorView entries, TensorView pairs) {
      entries.place = pairs.place = Place::host;
      run([this, entries, pairs] {
        sample_slots({}, {.entries = entries,
                          .pairs = pairs,
                          .tallies = view_of(tallies_, {rows_, kTallyWords}),
                          .biases = view_of(biases_, {rows_, kSampleMostBiases, 2})});
      });
    });
    const StepTensors step = inputs_.upload(plan, StepExtents::of(plan));
    run([this, step] {
      take_tokens(step);
      for (std::int64_t row = 0; row < step.logit_rows.elements(); ++row) {
        sample(step, row);
      }
      ++executed_;
    });
    return {.logits = logits_.view().row_slice({0, plan.wanted()}),
            .ids = ids_.view().row_slice({0, plan.wanted()})};
  }
  void wait(DeviceEvent& event) override { event.wait(); }
  bool samples() const override { return true; }
  Device& device() override { return *device_; }
  KvLayout kv_layout() const override { return {.layers = 1, .kv_heads = 1, .head_dim = 1}; }
  std::int64_t vocabulary() const override { return kVocabulary; }
  std::int64_t context_length() const override { return kContext; }
  int max_step_tokens() const override { return step_tokens_; }
  int max_logit_rows() const override { return rows_; }
  std::size_t weight_bytes() const override { return 0; }
  std::size_t workspace_bytes() const override { return 0; }

  int launched() const { return launched_; }
  int executed() const { return executed_; }
  int most_ahead() const { return most_ahead_; }    // steps that still ran when one was launched
  std::size_t entered() const { return entered_; }  // StepPlan::slot_entries of all plans
  int sampled(std::uint64_t seed) const {           // tokens, the dropped ones included
    const auto found = sampled_.find(seed);
    return found == sampled_.end() ? 0 : found->second;
  }

 private:
  static std::int32_t at(const TensorView& view, std::int64_t i) {
    return static_cast<const std::int32_t*>(view.data)[i];
  }
  void run(std::function<void()> work) {
    if (lazy_ != nullptr) {
      lazy_->enqueue(std::move(work));
    } else {
      work();
    }
  }
  static TensorView view_of(std::vector<std::int32_t>& words,
                            std::initializer_list<std::int64_t> shape) {
    return {words.data(), DType::i32, Place::host, shape};
  }
  Tally& tally_of(std::int32_t slot, TokenId id) {
    auto* row = tallies_.data() + std::ptrdiff_t{slot} * kTallyWords;
    return reinterpret_cast<Tally*>(row)[id];
  }

  void take_tokens(const StepTensors& step) {
    for (std::int64_t t = 0; t < step.ids.elements(); ++t) {
      const std::int32_t source = at(step.sources, t);
      const TokenId id = source < 0 ? at(step.ids, t) : last_.at(static_cast<std::size_t>(source));
      EXPECT_GE(id, 0) << "token " << t << " is not known, its source is slot " << source;
      kv_.at(static_cast<std::size_t>(at(step.slots, t))) = id;
    }
  }

  void sample(const StepTensors& step, std::int64_t row) {
    SampleRowRule rule;
    std::memcpy(static_cast<void*>(&rule),
                static_cast<std::int32_t*>(step.rules.data) + row * kSampleRuleWords, sizeof rule);
    const std::int32_t token = at(step.logit_rows, row);
    std::int64_t sequence = 0;
    while (at(step.query_begin, sequence + 1) <= token) {
      ++sequence;
    }
    const std::int32_t length = at(step.context_length, sequence);
    EXPECT_EQ(rule.position, static_cast<std::uint64_t>(length));
    const std::vector<TokenId> history = history_of(rule.seed, length);
    for (std::int32_t i = 0; i < length; ++i) {
      const std::int32_t page =
          at(step.block_table, sequence * step.block_table.shape[1] + i / page_);
      EXPECT_EQ(kv_.at(static_cast<std::size_t>(page * page_ + i % page_)),
                history[static_cast<std::size_t>(i)])
          << "seed " << rule.seed << ", position " << i << " of " << length;
    }
    if (at(step.sources, token) >= 0) {  // where it is -1, the id itself was looked at
      EXPECT_EQ(at(step.sources, token), rule.slot);
    }
    draw(rule, row, history);
  }

  void draw(const SampleRowRule& rule, std::int64_t row, const std::vector<TokenId>& history) {
    const TokenId id = oracle_(rule.seed, history.size());
    ++sampled_[rule.seed];
    float* logits = logits_.view().row<float>(row);
    for (std::int64_t v = 0; v < kVocabulary; ++v) {
      logits[v] = v == id ? 20.0F : -static_cast<float>(v % 7);
    }
    if (id < 0) {
      logits[3] = std::numeric_limits<float>::quiet_NaN();
    }
    ids_.data<std::int32_t>()[row] = rule.slot < 0 ? 0 : id;
    if (rule.slot < 0) {
      return;
    }
    last_.at(static_cast<std::size_t>(rule.slot)) = id;
    if (rule.penalises()) {
      check_tallies(rule, history);
      if (id >= 0) {
        ++tally_of(rule.slot, id);
      }
    }
  }

  void check_tallies(const SampleRowRule& rule, const std::vector<TokenId>& history) {
    std::vector<Tally> wanted(kVocabulary);
    const std::size_t prompt = prompts_.at(rule.seed).size();
    for (std::size_t i = 0; i < history.size(); ++i) {
      Tally& tally = wanted.at(static_cast<std::size_t>(history[i]));
      tally = static_cast<Tally>(i < prompt ? tally | kTallyPrompt : tally + 1);
    }
    for (TokenId id = 0; id < kVocabulary; ++id) {
      EXPECT_EQ(tally_of(rule.slot, id), wanted[static_cast<std::size_t>(id)])
          << "id " << id << ", seed " << rule.seed << " at position " << history.size();
    }
  }
  std::vector<TokenId> history_of(std::uint64_t seed, std::int32_t length) const {
    std::vector<TokenId> history = prompts_.at(seed);
    while (std::ssize(history) < length) {
      history.push_back(oracle_(seed, history.size()));
    }
    return history;
  }

  std::unique_ptr<Device> device_;
  LazyDevice* lazy_;
  Oracle oracle_;
  int step_tokens_;
  int rows_;
  StepInputs inputs_;
  SlotInputs slot_inputs_;
  Tensor logits_;
  Tensor ids_;
  std::vector<TokenId> last_;          // [slots]
  std::vector<std::int32_t> tallies_;  // [slots, kTallyWords]
  std::vector<std::int32_t> biases_;   // [slots, kSampleMostBiases, 2]
  std::vector<TokenId> kv_;            // [cache slots]: the token that lies there
  std::map<std::uint64_t, std::vector<TokenId>> prompts_;
  std::map<std::uint64_t, int> sampled_;
  int page_ = 0;
  int launched_ = 0;
  int executed_ = 0;
  int most_ahead_ = 0;
  std::size_t entered_ = 0;
};

}  // namespace tutti::test
