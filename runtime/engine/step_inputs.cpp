#include "runtime/engine/step_inputs.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "kernels/sample_rows.hpp"

namespace tutti {
namespace {

constexpr std::int64_t kAlignWords = 4;  // arrays begin at multiples of 16 bytes

std::int64_t aligned(std::int64_t words) {
  return (words + kAlignWords - 1) / kAlignWords * kAlignWords;
}

// Lays arrays behind each other in staging memory and says where they will lie on the device.
class Packer {
 public:
  Packer(std::int32_t* staging, std::byte* device, Place place)
      : staging_(staging), device_(device), place_(place) {}

  // `from`, then `padding` up to the shape's size.
  TensorView add(const std::vector<std::int32_t>& from, std::initializer_list<std::int64_t> shape,
                 std::int32_t padding) {
    const TensorView view(device_ + sizeof(std::int32_t) * static_cast<std::size_t>(at_),
                          DType::i32, place_, shape);
    std::int32_t* to = staging_ + at_;
    std::fill(std::copy(from.begin(), from.end(), to), to + view.elements(), padding);
    at_ += aligned(view.elements());
    return view;
  }
  // Rows of a narrower table into a wider one.
  TensorView add_table(const std::vector<std::int32_t>& from, std::int64_t columns,
                       std::int64_t rows, std::int64_t wide) {
    const TensorView view = add({}, {rows, wide}, 0);
    std::int32_t* to = staging_ + at_ - aligned(view.elements());
    for (std::int64_t row = 0; row * columns < std::ssize(from); ++row) {
      std::copy_n(from.begin() + row * columns, columns, to + row * wide);
    }
    return view;
  }
  std::int64_t words() const { return at_; }

 private:
  std::int32_t* staging_;
  std::byte* device_;
  Place place_;
  std::int64_t at_ = 0;
};

// Sequences that pad a batch hold one token each.
std::vector<std::int32_t> padded_begins(const StepPlan& plan, std::int64_t sequences) {
  std::vector<std::int32_t> begins = plan.query_begin;
  while (std::ssize(begins) < sequences + 1) {
    begins.push_back(begins.back() + 1);
  }
  return begins;
}

// A rule whose slot is -1 marks a row that pads the batch.
std::vector<std::int32_t> padded_rules(const StepPlan& plan, std::int64_t wanted) {
  std::vector<std::int32_t> rules = plan.rules;
  SampleRowRule none;
  none.slot = -1;
  std::array<std::int32_t, kSampleRuleWords> words;
  std::memcpy(words.data(), &none, sizeof none);
  while (std::ssize(rules) < wanted * kSampleRuleWords) {
    rules.insert(rules.end(), words.begin(), words.end());
  }
  return rules;
}

}  // namespace

StepExtents StepExtents::of(const StepPlan& plan) {
  return {.tokens = plan.tokens(),
          .sequences = plan.sequences(),
          .wanted = plan.wanted(),
          .max_blocks = plan.max_blocks};
}

StepExtents StepExtents::decode(std::int64_t sequences, std::int64_t max_blocks) {
  return {
      .tokens = sequences, .sequences = sequences, .wanted = sequences, .max_blocks = max_blocks};
}

std::int64_t StepExtents::words(bool samples) const {
  return 4 * aligned(tokens) + aligned(sequences + 1) + aligned(sequences) +
         aligned(sequences * max_blocks) + aligned(wanted) +
         (samples ? aligned(wanted * kSampleRuleWords) : 0);
}

StepInputs::StepInputs(Device& device, const StepExtents& most, bool samples)
    : place_(device.place()),
      samples_(samples),
      memory_(device, static_cast<std::size_t>(most.words(samples)) * sizeof(std::int32_t),
              "the plan of a step") {}

StepTensors StepInputs::upload(const StepPlan& plan, const StepExtents& extents) {
  Packer pack(reinterpret_cast<std::int32_t*>(memory_.next()), memory_.data(), place_);
  const auto [tokens, sequences, wanted, max_blocks] = extents;
  StepTensors step;
  step.ids = pack.add(plan.token_ids, {tokens}, 0);
  step.positions = pack.add(plan.positions, {tokens}, 0);
  step.sources = pack.add(plan.sources, {tokens}, -1);
  step.slots = pack.add(plan.slots, {tokens}, -1);
  step.query_begin = pack.add(padded_begins(plan, sequences), {sequences + 1}, 0);
  step.context_length = pack.add(plan.context_length, {sequences}, 0);
  step.block_table = pack.add_table(plan.block_table, plan.max_blocks, sequences, max_blocks);
  step.logit_rows = pack.add(plan.logit_rows, {wanted}, 0);
  if (samples_) {
    step.rules = pack.add(padded_rules(plan, wanted), {wanted, kSampleRuleWords}, 0);
  }
  step.most_queries = plan.most_queries();
  step.most_context = plan.most_context();
  memory_.send(static_cast<std::size_t>(pack.words()) * sizeof(std::int32_t));
  return step;
}

}  // namespace tutti
