#include "models/attention_kinds.hpp"

#include <bit>
#include <cmath>
#include <vector>

namespace tutti {
namespace {

float scale_of(const DecoderSpec& spec) {
  return spec.attention_scale > 0 ? static_cast<float>(spec.attention_scale)
                                  : 1.0f / std::sqrt(static_cast<float>(spec.head_dim));
}

// KV heads of this rank whose first query head is its own: each is one rank's.
Range counted_kv_heads(const DecoderSpec& spec, const RankShare& share) {
  const std::int64_t group = spec.q_heads / spec.kv_heads;
  const auto first_of = [group](std::int64_t head) { return (head + group - 1) / group; };
  return {first_of(share.q_heads.begin) - share.kv_heads.begin,
          first_of(share.q_heads.end) - share.kv_heads.begin};
}

AttentionShape attention_of(const DecoderSpec& spec, const RankShare& share,
                            const TensorView& inv_freq) {
  AttentionShape shape{.q_heads = static_cast<int>(share.q_heads.size()),
                       .kv_heads = static_cast<int>(share.kv_heads.size()),
                       .head_dim = static_cast<int>(spec.head_dim),
                       .scale = scale_of(spec),
                       .softcap = static_cast<float>(spec.attention_softcap),
                       .inv_freq = inv_freq,
                       .rope_magnitude = static_cast<float>(spec.rope_scaling.attention_factor),
                       .norm_eps = static_cast<float>(spec.norm_eps)};
  if (spec.qk_norm == QkNorm::projection) {
    shape.q_width = spec.q_heads * spec.head_dim;
    shape.k_width = spec.kv_heads * spec.head_dim;
    shape.k_counted = counted_kv_heads(spec, share);
  }
  return shape;
}

Tensor frequencies(Device& device, const DecoderSpec& spec, double theta,
                   const RopeScaling& scaling, std::int64_t max_context) {
  if (spec.positions != Positions::rotary) {
    return {};
  }
  return Tensor::of(
      device, rotary_frequencies(static_cast<int>(spec.rotated()), theta, scaling, max_context),
      "the rotary frequencies");
}

// ALiBi (Press, Smith & Lewis 2022): 2^(-b i / n) for head i of n, counted from 1, where n is a
// power of two. Else of the next power: every second of its slopes, then the others.
Tensor slopes(Device& device, const DecoderSpec& spec, const RankShare& share) {
  if (spec.positions != Positions::alibi) {
    return {};
  }
  const auto heads = static_cast<std::uint64_t>(spec.q_heads);
  const auto power = static_cast<std::int64_t>(std::bit_ceil(heads));
  std::vector<float> own;
  for (std::int64_t head = share.q_heads.begin; head < share.q_heads.end; ++head) {
    std::int64_t number = head + 1;
    if (power != spec.q_heads) {
      number = head < power / 2 ? 2 * head + 2 : 2 * (head - power / 2) + 1;
    }
    const float exponent = static_cast<float>(number) *
                           (static_cast<float>(spec.alibi_max_bias) / static_cast<float>(power));
    own.push_back(1.0f / std::pow(2.0f, exponent));
  }
  return Tensor::of(device, own, "the slopes of the heads");
}

}  // namespace

AttentionKinds::AttentionKinds(Device& device, const DecoderSpec& spec, const RankShare& share,
                               std::int64_t max_context)
    : spec_(spec),
      inv_freq_(frequencies(device, spec, spec.rope_theta, spec.rope_scaling, max_context)),
      slopes_(slopes(device, spec, share)),
      whole_(attention_of(spec, share, inv_freq_.view())),
      windowed_() {
  whole_.slopes = slopes_.view();
  windowed_ = whole_;
  windowed_.window = static_cast<int>(spec.window);
  if (spec.local_rope_theta > 0) {
    local_inv_freq_ = frequencies(device, spec, spec.local_rope_theta, {}, max_context);
    windowed_.inv_freq = local_inv_freq_.view();
    windowed_.rope_magnitude = 1;
  }
}

}  // namespace tutti
