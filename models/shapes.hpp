// Architectures without weights (models/shapes/*.json), by name.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "models/decoder_spec.hpp"

namespace tutti {

// Where shapes are looked for: share/tutti/shapes beside the program's folder, wherever that was
// moved; for a program of a build, models/shapes of its sources.
std::vector<std::filesystem::path> shape_folders();

// "llama-2-7b" from the first folder that has it, or the file that is named by its path (with a
// slash, or ending in .json). Errors: ConfigError for a name that is not known (lists the known
// ones), ModelFileError for a file that is missing or is not a canonical configuration.
DecoderSpec load_shape(const std::string& name_or_path,
                       std::span<const std::filesystem::path> folders);
DecoderSpec load_shape(const std::string& name_or_path);

}  // namespace tutti
