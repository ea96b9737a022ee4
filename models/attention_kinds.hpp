// What a model's attention layers do, by kind: with the window or without.
#pragma once

#include "models/decoder_spec.hpp"
#include "runtime/layers/attention.hpp"
#include "runtime/tensor/tensor.hpp"

namespace tutti {

class AttentionKinds {
 public:
  // `max_context`: tokens that a sequence of this run may have. Errors: CapacityError, ConfigError.
  AttentionKinds(Device& device, const DecoderSpec& spec, const RankShare& share,
                 std::int64_t max_context);

  const AttentionShape& of(std::int64_t layer) const {
    return spec_.has_window(layer) ? windowed_ : whole_;
  }

 private:
  DecoderSpec spec_;
  Tensor inv_freq_;        // [rotated elements / 2] f32
  Tensor local_inv_freq_;  // the same for layers with a window, where they differ
  Tensor slopes_;          // [q_heads of this rank] f32, where positions are ALiBi's
  AttentionShape whole_;
  AttentionShape windowed_;
};

}  // namespace tutti
