#include "launch/plan_model.hpp"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "kernels/error.hpp"
#include "models/registry.hpp"
#include "models/shapes.hpp"
#include "runtime/weights/input.hpp"
#include "runtime/weights/model_file.hpp"
#include "runtime/weights/tensor_source.hpp"

namespace tutti {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Kind = PlannedModel::Kind;

constexpr std::uint64_t kLargestConfig = 1 << 20;

// A configuration by itself: before its weights were downloaded.
class ConfigOnly final : public TensorSource {
 public:
  explicit ConfigOnly(json config) : config_(std::move(config)) {}
  const std::vector<SourceTensor>& tensors() const override { return tensors_; }
  const json& config() const override { return config_; }
  const TokenizerAssets& tokenizer() const override { return tokenizer_; }
  std::string format() const override { return "safetensors"; }
  std::string default_name() const override { return ""; }
  void read_rows(const SourceTensor&, Range, DType, std::byte*) const override {
    throw ModelFileError("a configuration has no weights");
  }

 private:
  json config_;
  std::vector<SourceTensor> tensors_;
  TokenizerAssets tokenizer_;
};

// Bytes by type of what is stored: which one most are, and what a parameter takes on average.
class TypeTally {
 public:
  void add(DType dtype, std::uint64_t elements) {
    bytes_[static_cast<std::size_t>(dtype)] += elements * size_of(dtype);
    elements_ += elements;
  }
  bool empty() const { return elements_ == 0; }
  void tell(PlannedModel& model) const {
    std::uint64_t sum = 0;
    std::uint64_t most = 0;
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      sum += bytes_[i];
      if (bytes_[i] > most) {
        most = bytes_[i];
        model.dtype = static_cast<DType>(i);
      }
    }
    model.matrix_bytes_each = static_cast<double>(sum) / static_cast<double>(elements_);
  }

 private:
  std::array<std::uint64_t, 16> bytes_{};
  std::uint64_t elements_ = 0;
};

TypeTally tally_of(const TensorSource& source) {
  TypeTally tally;
  for (const SourceTensor& tensor : source.tensors()) {
    if (tensor.shape.size() == 2) {
      tally.add(tensor.dtype.value_or(DType::bf16),
                static_cast<std::uint64_t>(tensor.rows() * tensor.row_elements()));
    }
  }
  return tally;
}

void use_dtype(PlannedModel& model, DType dtype) {
  model.dtype = dtype;
  model.matrix_bytes_each = static_cast<double>(size_of(dtype));
}

// transformers 5 calls it dtype, before it was torch_dtype.
DType dtype_of_config(const json& config) {
  std::string name;
  for (const char* field : {"torch_dtype", "dtype"}) {
    if (config.contains(field) && config[field].is_string()) {
      name = config[field].get<std::string>();
    }
  }
  return name == "float16" ? DType::f16 : name == "float32" ? DType::f32 : DType::bf16;
}

json parse_config(const fs::path& path) {
  try {
    return json::parse(read_text(path, kLargestConfig));
  } catch (const json::exception& error) {
    throw ModelFileError(fmt::format("{}: is not JSON: {}", path.string(), error.what()));
  }
}

PlannedModel from_config(const fs::path& path, json config, Kind kind) {
  PlannedModel model{.kind = kind};
  model.name = fs::absolute(path).lexically_normal().parent_path().filename().string();
  use_dtype(model, dtype_of_config(config));
  try {
    model.spec = spec_of(ConfigOnly(std::move(config)));
  } catch (const ModelFileError& error) {
    throw ModelFileError(fmt::format("{}: {}", path.string(), error.what()));
  }
  return model;
}

PlannedModel from_source(const fs::path& path, Kind kind) {
  const std::unique_ptr<TensorSource> source = open_source(path);
  PlannedModel model{.kind = kind, .name = source->default_name()};
  model.spec = spec_of(*source);
  tally_of(*source).tell(model);
  return model;
}

// Its tensors know their types better than its config.json, but a download may not be complete.
PlannedModel from_folder(const fs::path& folder) {
  const fs::path config = folder / "config.json";
  PlannedModel model = from_config(config, parse_config(config), Kind::hf_folder);
  try {
    const TypeTally tally = tally_of(*open_source(folder));
    if (!tally.empty()) {
      tally.tell(model);
    }
  } catch (const ModelFileError&) {
    // The configuration is all that there is.
  }
  return model;
}

PlannedModel from_model_file(const fs::path& path) {
  const ModelFile file(path);
  PlannedModel model{.kind = Kind::model_file,
                     .name = file.identity().name,
                     .fingerprint = file.identity().fingerprint,
                     .spec = DecoderSpec::from_json(file.config())};
  TypeTally tally;
  for (const TensorInfo& tensor : file.tensors()) {
    if (tensor.shape.size() == 2) {
      tally.add(tensor.dtype, static_cast<std::uint64_t>(tensor.elements()));
    }
  }
  if (!tally.empty()) {
    tally.tell(model);
  }
  return model;
}

PlannedModel from_shape(const std::string& name_or_path) {
  return {.kind = Kind::shape,
          .name = fs::path(name_or_path).stem().string(),
          .spec = load_shape(name_or_path)};
}

PlannedModel from_json_file(const fs::path& path) {
  json config = parse_config(path);
  if (config.contains("architectures") || config.contains("model_type")) {
    return from_config(path, std::move(config), Kind::hf_config);
  }
  return from_shape(path.string());
}

PlannedModel read_model(const std::string& what) {
  const fs::path path = what;
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    return from_folder(path);
  }
  if (path.extension() == ".json") {
    return from_json_file(path);
  }
  if (path.extension() == ".gguf") {
    return from_source(path, Kind::gguf);
  }
  if (fs::exists(path, ignored) || path.extension() == ".h5") {
    return from_model_file(path);
  }
  if (fs::is_regular_file(what + ".json", ignored)) {  // models/shapes/NAME
    return from_json_file(what + ".json");
  }
  if (what.find('/') != std::string::npos) {
    throw ModelFileError(
        fmt::format("{}: wanted a model file, a Hugging Face folder, its config.json, a GGUF file "
                    "or the name of a shape, found nothing there",
                    what));
  }
  return from_shape(what);
}

}  // namespace

std::string kind_text(Kind kind) {
  switch (kind) {
    case Kind::model_file:
      return "a model file";
    case Kind::hf_folder:
      return "a Hugging Face folder";
    case Kind::hf_config:
      return "a config.json";
    case Kind::gguf:
      return "a GGUF file";
    case Kind::shape:
      break;
  }
  return "a shape";
}

PlannedModel planned_model(const std::string& what, std::optional<DType> dtype) {
  PlannedModel model = read_model(what);
  if (dtype) {
    use_dtype(model, *dtype);
  }
  const RankShare whole = ShardPlan(model.spec.shard_shape(), 1).share(0);
  model.parameters = static_cast<std::uint64_t>(whole.parameters);
  model.weight_bytes =
      static_cast<std::uint64_t>(static_cast<double>(whole.parameters - whole.vectors) *
                                 model.matrix_bytes_each) +
      static_cast<std::uint64_t>(whole.vectors) * sizeof(float);
  return model;
}

}  // namespace tutti
