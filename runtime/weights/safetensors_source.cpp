#include "runtime/weights/safetensors_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "kernels/error.hpp"
#include "runtime/weights/read_elements.hpp"
#include "runtime/weights/safetensors_header.hpp"

namespace tutti {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kMaxTextBytes = std::uint64_t{256} << 20;
constexpr const char* kIndexName = "model.safetensors.index.json";

json read_json(const fs::path& path) {
  try {
    return json::parse(read_text(path, kMaxTextBytes));
  } catch (const json::exception& error) {
    throw ModelFileError(fmt::format("{}: is not valid JSON: {}", path.string(), error.what()));
  }
}

// The template as text: a string, or the entry "default" of a list of named templates.
std::string template_text(const json& value) {
  if (value.is_string()) {
    return value.get<std::string>();
  }
  if (value.is_array()) {
    for (const json& entry : value) {
      if (entry.is_object() && entry.value("name", json()) == "default" &&
          entry.value("template", json()).is_string()) {
        return entry["template"].get<std::string>();
      }
    }
  }
  return {};
}

TokenizerAssets read_tokenizer(const fs::path& folder) {
  TokenizerAssets assets;
  for (const char* name : {"tokenizer.json", "tokenizer.model", "tokenizer_config.json",
                           "generation_config.json", "special_tokens_map.json"}) {
    if (fs::exists(folder / name)) {
      assets[name] = read_text(folder / name, kMaxTextBytes);
    }
  }
  // Vocabularies in other formats are large and say the same as tokenizer.json does.
  if (assets.count("tokenizer.json") == 0) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (name == "tekken.json" || entry.path().extension() == ".tiktoken") {
        assets[name] = read_text(entry.path(), kMaxTextBytes);
      }
    }
  }
  // The file of its own is the newer style and wins where both are there.
  if (fs::exists(folder / "chat_template.jinja")) {
    assets["chat_template"] = read_text(folder / "chat_template.jinja", kMaxTextBytes);
  } else if (assets.count("tokenizer_config.json") != 0) {
    const json config = read_json(folder / "tokenizer_config.json");
    if (config.is_object() && config.contains("chat_template")) {
      const std::string text = template_text(config["chat_template"]);
      if (!text.empty()) {
        assets["chat_template"] = text;
      }
    }
  }
  return assets;
}

// The folder's name; "org/name" for a snapshot in the Hugging Face cache, whose folder is a hash.
std::string name_of_folder(const fs::path& folder) {
  const fs::path path = fs::weakly_canonical(folder);
  const std::string holder = path.parent_path().parent_path().filename().string();
  if (path.parent_path().filename() == "snapshots" && holder.rfind("models--", 0) == 0) {
    const std::string name = holder.substr(8);
    const auto dashes = name.find("--");
    return dashes == std::string::npos
               ? name
               : fmt::format("{}/{}", name.substr(0, dashes), name.substr(dashes + 2));
  }
  return path.filename().string();
}

// Tensor -> file name, as the index has it.
std::map<std::string, std::string> read_index(const fs::path& path) {
  const json index = read_json(path);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    throw ModelFileError(fmt::format("{}: wanted an object \"weight_map\"", path.string()));
  }
  std::map<std::string, std::string> files;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    const fs::path name = file.is_string() ? file.get<std::string>() : std::string();
    if (name.filename() != name || name.extension() != ".safetensors") {
      throw ModelFileError(
          fmt::format("{}: tensor \"{}\": wanted a *.safetensors file beside it, "
                      "found {}",
                      path.string(), tensor, file.dump()));
    }
    files[tensor] = file.get<std::string>();
  }
  return files;
}

[[noreturn]] void fail_without_tensors(const fs::path& folder) {
  std::string hint = "give a Hugging Face folder or a .gguf file";
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const fs::path extension = entry.path().extension();
    if (extension == ".gguf") {
      hint = fmt::format("it holds {}: give that file", entry.path().filename().string());
    } else if (extension == ".bin" || extension == ".pth" || extension == ".pt") {
      hint = fmt::format("it holds {}: convert it to safetensors first",
                         entry.path().filename().string());
    }
  }
  throw ModelFileError(fmt::format("{}: wanted *.safetensors in this folder, found none; {}",
                                   folder.string(), hint));
}

}  // namespace

SafetensorsSource::SafetensorsSource(const fs::path& folder)
    : default_name_(name_of_folder(folder)) {
  open_files(folder);
  const fs::path config = folder / "config.json";
  if (!fs::exists(config)) {
    throw ModelFileError(
        fmt::format("{}: wanted config.json beside the tensors, found none", folder.string()));
  }
  config_ = read_json(config);
  if (!config_.is_object()) {
    throw ModelFileError(fmt::format("{}: wanted a JSON object", config.string()));
  }
  tokenizer_ = read_tokenizer(folder);
  std::sort(tensors_.begin(), tensors_.end(),
            [](const SourceTensor& a, const SourceTensor& b) { return a.name < b.name; });
}

void SafetensorsSource::open_files(const fs::path& folder) {
  const fs::path index = folder / kIndexName;
  if (fs::exists(index)) {
    const auto file_of = read_index(index);
    std::set<std::string> names;
    for (const auto& [tensor, file] : file_of) {
      if (!fs::exists(folder / file)) {
        throw ModelFileError(
            fmt::format("{}: names {} for tensor \"{}\", which is not there; fetch "
                        "it again",
                        index.string(), file, tensor));
      }
      names.insert(file);
    }
    for (const std::string& name : names) {
      add_file(folder / name);
    }
    for (const auto& [tensor, file] : file_of) {
      const auto found = locations_.find(tensor);
      if (found == locations_.end() || files_[found->second.file].name() != folder / file) {
        throw ModelFileError(
            fmt::format("{}: wanted tensor \"{}\" in {}, found {}", index.string(), tensor, file,
                        found == locations_.end() ? "it nowhere"
                                                  : "it in " + files_[found->second.file].name()));
      }
    }
    return;
  }
  if (fs::exists(folder / "model.safetensors")) {
    return add_file(folder / "model.safetensors");
  }
  std::vector<fs::path> paths;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".safetensors") {
      paths.push_back(entry.path());
    }
  }
  if (paths.empty()) {
    fail_without_tensors(folder);
  }
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) {
    add_file(path);
  }
}

void SafetensorsSource::add_file(const fs::path& path) {
  const std::size_t file = files_.size();
  files_.emplace_back(path);
  for (SafetensorsEntry& entry : parse_safetensors_header(files_.back())) {
    const auto [at, inserted] = locations_.try_emplace(entry.name, Location{file, entry.offset});
    if (!inserted) {
      throw ModelFileError(fmt::format("{}: tensor \"{}\" is also in {}", path.string(), entry.name,
                                       files_[at->second.file].name()));
    }
    tensors_.push_back({.name = std::move(entry.name),
                        .encoding = std::move(entry.dtype_name),
                        .dtype = entry.dtype,
                        .shape = std::move(entry.shape),
                        .bytes = entry.bytes,
                        .readable = entry.dtype.has_value()});
  }
}

void SafetensorsSource::read_rows(const SourceTensor& tensor, Range rows, DType dtype,
                                  std::byte* dst) const {
  const auto found = locations_.find(tensor.name);
  if (found == locations_.end()) {
    throw ModelFileError(fmt::format("{}: has no tensor \"{}\"", default_name_, tensor.name));
  }
  const InputFile& file = files_[found->second.file];
  check_rows(file, tensor, rows);
  if (!tensor.dtype) {
    throw ModelFileError(fmt::format("{}: tensor \"{}\" is {}, wanted F32, F16 or BF16",
                                     file.name(), tensor.name, tensor.encoding));
  }
  const std::int64_t width = tensor.row_elements();
  read_plain({file, found->second.offset}, *tensor.dtype, {rows.begin * width, rows.end * width},
             dtype, dst);
}

}  // namespace tutti
