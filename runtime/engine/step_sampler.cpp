#include "runtime/engine/step_sampler.hpp"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "kernels/error.hpp"
#include "kernels/sample_rows.hpp"

namespace tutti {
namespace {

std::vector<std::int32_t> seen_words(const std::vector<TokenId>& ids, std::int64_t vocabulary) {
  std::vector<std::uint32_t> words(static_cast<std::size_t>((vocabulary + 31) / 32));
  for (const TokenId id : ids) {
    words[static_cast<std::size_t>(id) / 32] |= std::uint32_t{1} << (id % 32);
  }
  return {words.begin(), words.end()};
}

}  // namespace

StepSampler::StepSampler(Model& model) : model_(model) {
  for (std::int32_t slot = model.max_logit_rows(); slot > 0; --slot) {
    free_slots_.push_back(slot - 1);
  }
  for (Fetch& fetch : fetches_) {
    fetch.ids =
        model.device().allocate_staging(sizeof(TokenId) * free_slots_.size(), "sampled ids");
    fetch.arrived = model.device().make_event();
  }
  if (model.samples()) {
    row_ = model.device().allocate_staging(
        sizeof(float) * static_cast<std::size_t>(model.vocabulary()), "a row of logits");
  }
}

bool StepSampler::draws_here(const Sequence& sequence) const {
  return !model_.samples() || sequence.request.options.logprobs.has_value();
}

void StepSampler::admit(Sequence& sequence, StepPlan& plan) {
  if (sequence.slot >= 0) {
    return;
  }
  sequence.slot = free_slots_.back();
  free_slots_.pop_back();
  if (!draws_here(sequence) && sequence.request.options.repetition_penalty != 1) {
    const std::vector<std::int32_t> words = seen_words(sequence.tokens, model_.vocabulary());
    plan.seen_slots.push_back(sequence.slot);
    plan.seen_words.insert(plan.seen_words.end(), words.begin(), words.end());
  }
}

void StepSampler::release(const Sequence& sequence) {
  if (sequence.slot >= 0) {
    free_slots_.push_back(sequence.slot);
  }
}

std::int32_t StepSampler::source_of(const Sequence& sequence, int position) const {
  return sequence.tokens[static_cast<std::size_t>(position)] == kUnheard ? sequence.slot : -1;
}

void StepSampler::add_rule(const Sequence& sequence, StepPlan& plan) const {
  if (!model_.samples()) {
    return;
  }
  const SamplingOptions& options = sequence.request.options;
  const SampleRowRule rule{.seed = options.seed,
                           .request = sequence.request.stream,
                           .position = sequence.tokens.size(),
                           .temperature = static_cast<float>(options.temperature),
                           .top_p = static_cast<float>(options.top_p),
                           .min_p = static_cast<float>(options.min_p),
                           .repetition_penalty = static_cast<float>(options.repetition_penalty),
                           .top_k = options.top_k,
                           .slot = draws_here(sequence) ? -1 : sequence.slot};
  std::array<std::int32_t, kSampleRuleWords> words;
  std::memcpy(words.data(), &rule, sizeof rule);
  plan.rules.insert(plan.rules.end(), words.begin(), words.end());
}

StepTicket StepSampler::fetch(const StepOutput& output) {
  const std::size_t turn = turn_++ % fetches_.size();
  Fetch& fetch = fetches_[turn];
  if (!output.ids.empty()) {
    model_.device().copy_out(fetch.ids.data(), output.ids.data, output.ids.bytes());
  }
  fetch.arrived->record();
  return {.output = output, .fetch = turn};
}

std::vector<SampledToken> StepSampler::draw(const StepTicket& ticket,
                                            const std::vector<const Sequence*>& rows) {
  const Fetch& fetch = fetches_[ticket.fetch];
  model_.wait(*fetch.arrived);
  std::vector<SampledToken> tokens(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] == nullptr) {
      continue;
    }
    if (draws_here(*rows[i])) {
      tokens[i] = draw_here(ticket.output.logits, static_cast<std::int64_t>(i), *rows[i]);
      continue;
    }
    std::memcpy(&tokens[i].id, fetch.ids.data() + sizeof(TokenId) * i, sizeof(TokenId));
    if (tokens[i].id < 0) {
      throw Error(
          fmt::format("request {}, token {} of the answer: a logit is NaN or infinite; the model's "
                      "weights or a "
                      "device are broken",
                      rows[i]->request.id, rows[i]->heard));
    }
  }
  return tokens;
}

SampledToken StepSampler::draw_here(const TensorView& logits, std::int64_t row,
                                    const Sequence& sequence) {
  TensorView own(logits.row<float>(row), DType::f32, logits.place, {logits.shape[1]});
  if (model_.samples()) {
    model_.device().copy_out(row_.data(), own.data, own.bytes());
    model_.device().synchronize();
    own.data = row_.data();
    own.place = Place::host;
  }
  Exec host;
  host.threads = model_.device().exec().threads;
  return sample_token(host, own, sequence.request, sequence.tokens);
}

}  // namespace tutti
