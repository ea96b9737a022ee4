// What a family's rules want of a source, given the spec.
#pragma once

#include "models/family.hpp"
#include "runtime/weights/import.hpp"

namespace tutti {

// Whether a model of this spec has the rule's tensor.
bool has_tensor(const TensorRule& rule, const DecoderSpec& spec);

// Whether the canonical weight holds one matrix of each expert, below each other; a source's name
// for it has a second "{}", the expert's number.
bool is_of_experts(std::string_view name);

// Shape of the canonical weight, [out, in] or [n]; of one expert where it is of experts.
std::vector<std::int64_t> weight_shape(std::string_view name, const DecoderSpec& spec);

// Shape of the source's tensor that holds the part, given the part's own.
std::vector<std::int64_t> source_shape(std::vector<std::int64_t> own, Part part,
                                       const DecoderSpec& spec);

// Where the part lies in that tensor; `by_group`: see Family::hf_fused_by_group.
RowPick pick_of(Part part, bool by_group, const DecoderSpec& spec);

}  // namespace tutti
