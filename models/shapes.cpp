#include "models/shapes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <set>

#include "kernels/error.hpp"
#include "runtime/weights/input.hpp"

namespace tutti {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLargestFile = 1 << 20;

DecoderSpec read_shape(const fs::path& path) {
  const std::string text = read_text(path, kLargestFile);
  try {
    return DecoderSpec::from_json(nlohmann::json::parse(text));
  } catch (const nlohmann::json::exception& error) {
    throw ModelFileError(fmt::format("{}: is not JSON: {}", path.string(), error.what()));
  } catch (const ModelFileError& error) {
    throw ModelFileError(
        fmt::format("{}: {} (models/shapes has examples)", path.string(), error.what()));
  }
}

std::set<std::string> names_in(std::span<const fs::path> folders) {
  std::set<std::string> names;
  for (const fs::path& folder : folders) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      if (entry.path().extension() == ".json") {
        names.insert(entry.path().stem().string());
      }
    }
  }
  return names;
}

}  // namespace

std::vector<fs::path> shape_folders() {
  std::vector<fs::path> folders;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) {
    folders.push_back((program.parent_path() / TUTTI_SHAPES_INSTALLED).lexically_normal());
  }
  folders.emplace_back(TUTTI_SHAPES_SOURCE);
  return folders;
}

DecoderSpec load_shape(const std::string& name_or_path, std::span<const fs::path> folders) {
  if (name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".json")) {
    return read_shape(name_or_path);
  }
  for (const fs::path& folder : folders) {
    const fs::path path = folder / (name_or_path + ".json");
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored)) {
      return read_shape(path);
    }
  }
  std::vector<std::string> looked;
  for (const fs::path& folder : folders) {
    looked.push_back(folder.string());
  }
  throw ConfigError(fmt::format(
      "no shape is named \"{}\": known are {} (in {}); a configuration of your own is named by its "
      "path, ./{}.json",
      name_or_path, fmt::join(names_in(folders), ", "), fmt::join(looked, ", "), name_or_path));
}

DecoderSpec load_shape(const std::string& name_or_path) {
  return load_shape(name_or_path, shape_folders());
}

}  // namespace tutti
