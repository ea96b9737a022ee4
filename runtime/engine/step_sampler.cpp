#include "runtime/engine/step_sampler.hpp"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <limits>
#include <span>

#include "kernels/error.hpp"
#include "kernels/sample_rows.hpp"
#include "kernels/sample_slots.hpp"

namespace tutti {
namespace {

void append_words(std::vector<std::int32_t>& to, const void* from, std::size_t bytes) {
  const std::size_t size = to.size();
  to.resize(size + bytes / sizeof(std::int32_t));
  std::memcpy(to.data() + size, from, bytes);
}

// What min_tokens bans at first.
std::span<const TokenId> bans_of(const Request& request) {
  return request.options.min_tokens > 0 ? std::span(request.ends) : std::span<const TokenId>();
}

// (id, tally), (id, bias), then (id, -infinity) of the bans, which are biases that a rule may leave
// out.
void bring_along(const Sequence& sequence, StepPlan& plan) {
  const Request& request = sequence.request;
  const auto add = [&plan](TokenId id, std::int32_t word) {
    plan.slot_pairs.insert(plan.slot_pairs.end(), {id, word});
  };
  SampleSlotEntry entry{.slot = sequence.slot,
                        .first = static_cast<std::int32_t>(plan.slot_pairs.size() / 2)};
  if (penalises(request.options)) {
    const auto tallies = tallies_of(sequence.tokens, request.prompt.size());
    for (const auto& [id, tally] : tallies) {
      add(id, tally);
    }
    entry.tallies = static_cast<std::int32_t>(tallies.size());
  }
  for (const LogitBias& bias : request.options.logit_bias) {
    add(bias.id, std::bit_cast<std::int32_t>(bias.bias));
  }
  for (const TokenId id : bans_of(request)) {
    add(id, std::bit_cast<std::int32_t>(-std::numeric_limits<float>::infinity()));
  }
  entry.biases =
      static_cast<std::int32_t>(request.options.logit_bias.size() + bans_of(request).size());
  if (entry.tallies >= 0 || entry.biases > 0) {
    append_words(plan.slot_entries, &entry, sizeof entry);
  }
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
  const Request& request = sequence.request;
  return !model_.samples() || request.options.logprobs.has_value() ||
         std::ssize(request.options.logit_bias) + std::ssize(bans_of(request)) > kSampleMostBiases;
}

void StepSampler::admit(Sequence& sequence, StepPlan& plan) {
  if (sequence.slot >= 0) {
    return;
  }
  sequence.slot = free_slots_.back();
  free_slots_.pop_back();
  if (!draws_here(sequence)) {
    bring_along(sequence, plan);
  }
}

void StepSampler::release(Sequence& sequence) {
  if (sequence.slot >= 0) {
    free_slots_.push_back(sequence.slot);
    sequence.slot = -1;
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
  const bool banned = sequence.new_tokens() < options.min_tokens;
  const std::size_t bans = banned ? bans_of(sequence.request).size() : 0;
  const SampleRowRule rule{.seed = options.seed,
                           .request = sequence.request.stream,
                           .position = sequence.tokens.size(),
                           .temperature = static_cast<float>(options.temperature),
                           .top_p = static_cast<float>(options.top_p),
                           .min_p = static_cast<float>(options.min_p),
                           .repetition_penalty = static_cast<float>(options.repetition_penalty),
                           .presence_penalty = static_cast<float>(options.presence_penalty),
                           .frequency_penalty = static_cast<float>(options.frequency_penalty),
                           .top_k = options.top_k,
                           .slot = draws_here(sequence) ? -1 : sequence.slot,
                           .biases = static_cast<std::int32_t>(options.logit_bias.size()),
                           .bans = static_cast<std::int32_t>(bans)};
  append_words(plan.rules, &rule, sizeof rule);
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
          fmt::format("request {}, token {} of the answer: a logit is NaN or infinite, the model's "
                      "weights or a device are broken",
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
