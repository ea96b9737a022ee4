// The families that Tutti knows, and the way from a file or a source to a running model.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/decoder_spec.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/engine/model.hpp"
#include "runtime/shard/shard_plan.hpp"
#include "runtime/weights/import.hpp"
#include "runtime/weights/weight_source.hpp"

namespace tutti {

std::vector<std::string> family_names();

// The architecture that a source's configuration describes, checked; its tensors need not be there.
// Errors: ModelFileError for an architecture that is not known (lists the known), a field that is
// not understood.
DecoderSpec spec_of(const TensorSource& source);

// What becomes what when `source` is imported: canonical config, tensors, tokenizer. `dtype` empty:
// each tensor keeps its own, quantized ones become bf16; norms stay at f32 where they are f32.
// Errors: ModelFileError for an architecture that is not known (lists the known), a field that is
// not understood, a missing tensor, a vocabulary that the tokenizer contradicts.
ImportJob make_import_job(const TensorSource& source, const std::string& path,
                          std::optional<DType> dtype);

struct ModelLimits {
  int max_step_tokens = 512;     // tokens in one step; longer prompts come in chunks
  int max_logit_rows = 64;       // sequences that sample in one step
  std::int64_t max_context = 0;  // tokens of one sequence; 0: the model's own
  bool graphs = true;            // record and replay steps where the device can
};

// Collective. Builds rank `group.rank()`'s part on the device and loads its slices; borrows the
// device and the group.
std::unique_ptr<Model> make_model(const DecoderSpec& spec, const ShardPlan& plan, Device& device,
                                  Communicator& group, const WeightSource& source,
                                  const ModelLimits& limits);

}  // namespace tutti
