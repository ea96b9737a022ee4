#include "models/decoder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "kernels/embedding.hpp"
#include "kernels/error.hpp"
#include "kernels/residual_add.hpp"
#include "kernels/sample_rows.hpp"
#include "kernels/sample_slots.hpp"
#include "models/decoder_weights.hpp"

namespace tutti {
namespace {

std::vector<std::int64_t> vocabulary_rows(const ShardPlan& plan) {
  std::vector<std::int64_t> rows;
  rows.reserve(static_cast<std::size_t>(plan.ranks()));
  for (int rank = 0; rank < plan.ranks(); ++rank) {
    rows.push_back(plan.share(rank).vocabulary.size());
  }
  return rows;
}

ModelLimits resolved(ModelLimits limits, const DecoderSpec& spec) {
  if (limits.max_context == 0) {
    limits.max_context = spec.context_length;
  }
  return limits;
}

std::int64_t most_blocks(const ModelLimits& limits) {
  return KvLayout{}.pages_for(limits.max_context);
}

StepExtents most_extents(const ModelLimits& limits) {
  return {.tokens = limits.max_step_tokens,
          .sequences = std::min(limits.max_step_tokens, limits.max_logit_rows),
          .wanted = limits.max_logit_rows,
          .max_blocks = most_blocks(limits)};
}

// f32 on the host; on a device the weights' own, of which the embedding speaks for all.
DType activation_dtype(const Device& device, const WeightSource& source, const DecoderSpec& spec) {
  const std::array<std::int64_t, 2> shape{spec.vocabulary, spec.hidden};
  return device.place() == Place::host ? DType::f32 : source.dtype("embedding", shape);
}

// Sizes that steps are recorded for: 1, 2, 4, 8, then multiples of 8.
std::int64_t recorded_size(std::int64_t sequences) {
  std::int64_t size = 1;
  while (size < sequences && size < 8) {
    size *= 2;
  }
  return size < sequences ? (sequences + 7) / 8 * 8 : size;
}

}  // namespace

Decoder::Decoder(const DecoderSpec& spec, const ShardPlan& plan, Device& device,
                 Communicator& group, WeightLoader& loader, const ModelLimits& limits)
    : spec_(spec),
      limits_(resolved(limits, spec)),
      device_(device),
      group_(group),
      share_(plan.share(group.rank())),
      workspace_(device, group, spec, share_, limits_,
                 activation_dtype(device, loader.source(), spec)),
      inputs_(device, most_extents(limits_), device.place() != Place::host),
      kv_of_q_(Tensor::of(device, share_.kv_of_q, "the map of query to KV heads")),
      attention_(device, spec, share_, limits_.max_context),
      embedding_table_(load_table(loader, "embedding", spec, share_.vocabulary)),
      head_table_(spec.tied_head ? Tensor() : load_table(loader, "head", spec, share_.vocabulary)),
      position_table_(load_positions(loader, spec, share_)),
      final_norm_(load_norm(loader, "final_norm", spec)),
      embedding_(embedding_table_.view(), share_.vocabulary.begin, group,
                 static_cast<float>(spec.embedding_scale),
                 {position_table_.view(), share_.positions.begin}),
      head_(spec.tied_head ? embedding_table_.view() : head_table_.view(), vocabulary_rows(plan),
            group, static_cast<float>(spec.logit_scale), static_cast<float>(spec.logit_softcap)) {
  if (samples()) {
    slot_inputs_.emplace(device, limits_.max_logit_rows,
                         std::min(spec.vocabulary, limits_.max_context));
  }
  for (std::int64_t i = share_.layers.begin; i < share_.layers.end; ++i) {
    layers_.emplace_back(loader, i, spec, share_, group.rank());
  }
}

KvLayout Decoder::kv_layout() const {
  return {.layers = static_cast<int>(share_.layers.size()),
          .kv_heads = static_cast<int>(share_.kv_heads.size()),
          .head_dim = static_cast<int>(spec_.head_dim),
          .dtype = workspace_.x.view().dtype};
}

std::size_t Decoder::weight_bytes() const {
  std::size_t bytes = embedding_table_.bytes() + head_table_.bytes() + position_table_.bytes() +
                      final_norm_.bytes();
  for (const DecoderLayer& layer : layers_) {
    bytes += layer.bytes();
  }
  return bytes;
}

ExpertLoad Decoder::expert_load() {
  const std::int64_t experts = share_.experts.size();
  if (experts == 0) {
    return {};
  }
  ExpertLoad load{.held = experts * share_.layers.size(),
                  .bytes_each = layers_.front().experts->bytes_of_one()};
  const std::vector<std::int32_t> begins = workspace_.experts.last_begins(device_);
  for (auto layer = begins.begin(); layer != begins.end(); layer += experts + 1) {
    for (std::int64_t e = 0; e < experts; ++e) {
      load.read += layer[e + 1] > layer[e] ? 1 : 0;
    }
    load.pairs += layer[experts];
  }
  return load;
}

std::size_t Decoder::workspace_bytes() const {
  const std::size_t slot_inputs = slot_inputs_ ? slot_inputs_->bytes() : 0;
  return workspace_.bytes() + inputs_.bytes() + slot_inputs + device_.workspace_bytes();
}

StepOutput Decoder::forward(const StepPlan& plan, KvCache& cache) {
  if (plan.tokens() > limits_.max_step_tokens || plan.wanted() > limits_.max_logit_rows) {
    throw ConfigError(fmt::format(
        "a step of {} tokens and {} rows of logits was planned, this model was built for {} and {}",
        plan.tokens(), plan.wanted(), limits_.max_step_tokens, limits_.max_logit_rows));
  }
  enter_slots(plan);
  if (!may_replay(plan, cache)) {
    compute(inputs_.upload(plan, StepExtents::of(plan)), cache, plan.wanted());
    return output(plan.wanted());
  }
  const std::int64_t size = recorded_size(plan.sequences());
  StepTensors step = inputs_.upload(plan, StepExtents::decode(size, most_blocks(limits_)));
  step.most_context = limits_.max_context;
  const auto recorded = graphs_.find(size);
  if (recorded != graphs_.end()) {
    recorded->second->replay();
  } else {  // the first of its size runs as it is: what tunes itself does so outside a recording
    compute(step, cache, size);
    device_.synchronize();
    graphs_[size] = device_.record([&] { compute(step, cache, size); });
  }
  return output(plan.wanted());
}

void Decoder::wait(DeviceEvent& event) {
  group_.watch("a step of the model");
  event.wait();
  group_.watch("");
  group_.check();
}

// Whether every sequence decodes one token, in a batch that is recorded or may be.
bool Decoder::may_replay(const StepPlan& plan, const KvCache& cache) {
  if (!limits_.graphs || !samples() || plan.most_queries() != 1 ||
      plan.wanted() != plan.sequences() ||
      recorded_size(plan.sequences()) > most_extents(limits_).sequences) {
    return false;
  }
  if (recorded_pages_ != cache.keys(0).data || recorded_count_ != cache.pages()) {
    graphs_.clear();
    recorded_pages_ = cache.keys(0).data;
    recorded_count_ = cache.pages();
  }
  return true;
}

void Decoder::enter_slots(const StepPlan& plan) {
  if (!samples()) {
    return;
  }
  slot_inputs_->upload(plan, [this](const TensorView& entries, const TensorView& pairs) {
    sample_slots(device_.exec(), {.entries = entries,
                                  .pairs = pairs,
                                  .tallies = workspace_.tallies.view(),
                                  .biases = workspace_.biases.view()});
  });
}

StepOutput Decoder::output(std::int64_t wanted) const {
  StepOutput output;
  if (wanted > 0 && group_.rank() == 0) {
    output.logits = workspace_.logits.view().row_slice({0, wanted});
  }
  if (samples()) {
    output.ids = workspace_.ids.view().row_slice({0, wanted});
  }
  return output;
}

void Decoder::compute(const StepTensors& plan, KvCache& cache, std::int64_t wanted) {
  Exec exec = device_.exec();
  exec.scratch = {workspace_.scratch.data<std::byte>(), workspace_.scratch.bytes()};
  StepTensors step = plan;
  step.kv_of_q = kv_of_q_.view();
  step.last = workspace_.last_ids.view();
  run_layers(exec, step, cache);
  if (wanted == 0) {
    return;
  }
  const TensorView last = workspace_.last.view().row_slice({0, wanted});
  embedding(exec, {.ids = step.logit_rows,
                   .table = {workspace_.x.view().row_slice({0, step.ids.rows()})},
                   .first_row = 0,
                   .y = last});
  const bool holds = workspace_.logits.view().rows() > 0;
  const TensorView logits = holds ? workspace_.logits.view().row_slice({0, wanted}) : TensorView();
  head_.forward(exec, last, workspace_.local_logits.view().row_slice({0, wanted}), logits);
  if (samples()) {
    sample_rows(exec, {.logits = logits,
                       .rules = step.rules,
                       .tallies = workspace_.tallies.view(),
                       .biases = workspace_.biases.view(),
                       .ids = workspace_.ids.view().row_slice({0, wanted}),
                       .last = step.last});
  }
}

// Leaves the normalised hidden states of all tokens in workspace_.x. Each norm takes the sum over
// the ranks of the sublayer before it along (runtime/layers/norm.hpp).
void Decoder::run_layers(const Exec& exec, const StepTensors& step, KvCache& cache) {
  const auto rows = [tokens = step.ids.rows()](const Tensor& tensor) {
    return tensor.view().rows() > 0 ? tensor.view().row_slice({0, tokens}) : TensorView();
  };
  const LayerStep at{.spec = spec_,
                     .step = step,
                     .cache = cache,
                     .group = group_,
                     .x = rows(workspace_.x),
                     .residual = rows(workspace_.residual),
                     .side = rows(workspace_.side),
                     .attention = {.qkv = rows(workspace_.qkv),
                                   .mix = rows(workspace_.mix),
                                   .squares = rows(workspace_.squares)},
                     .mlp = {.gate_up = rows(workspace_.gate_up), .gated = rows(workspace_.gated)},
                     .experts = workspace_.experts};
  embedding_.forward(exec, step, at.residual);
  const Norm& first = layers_.front().entry(spec_);
  if (first.empty()) {  // x = residual
    device_.fill_zero(at.x.data, at.x.bytes());
    residual_add(exec, {.x = at.x, .residual = at.residual, .y = at.x});
  } else {
    first.forward(exec, at.residual, at.x);
  }
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const bool last = i + 1 == layers_.size();
    run_layer(exec, layers_[i], attention_.of(share_.layers.begin + static_cast<std::int64_t>(i)),
              static_cast<int>(i), at, last ? final_norm_ : layers_[i + 1].entry(spec_));
  }
}

}  // namespace tutti
