// Rotary scaling in a canonical configuration: "rope_scaling".
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "runtime/layers/rotary.hpp"

namespace tutti {

// The kind, and of the others what it uses.
nlohmann::json scaling_to_json(const RopeScaling& scaling);
// Errors: ModelFileError, naming the field.
RopeScaling scaling_from_json(const nlohmann::json& config);

}  // namespace tutti
