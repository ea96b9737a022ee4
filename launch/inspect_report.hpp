// What `tutti inspect` says about a model file.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/weights/model_file.hpp"

namespace tutti {

// All of it for a machine; `tensors` adds one entry for each tensor.
nlohmann::json inspect_json(const ModelFile& file, bool tensors);
// The same for a person: a table.
std::string inspect_text(const ModelFile& file, bool tensors);

// "recognised" chat format or why there is none; the tokenizer's kind or what is wrong with it.
std::string chat_format_of(const ModelFile& file);
std::string tokenizer_kind_of(const ModelFile& file);

// One line for each finding, wanted and found.
std::string findings_text(const std::vector<VerifyFinding>& findings);

}  // namespace tutti
