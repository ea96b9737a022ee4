// The one number that says which model this is (docs/model_file.md, "Fingerprint").
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "runtime/weights/tensor_info.hpp"

namespace tutti {

// SHA-256, hex, over the canonical configuration (text as stored), the tokenizer's entries (name to
// SHA-256 hex of the content) and name, dtype, shape and sha256 of every tensor, in any order.
std::string fingerprint(std::string_view config_json,
                        const std::map<std::string, std::string>& tokenizer_sha256,
                        std::span<const TensorInfo> tensors);

}  // namespace tutti
