#include "launch/model_to_run.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "models/shapes.hpp"
#include "runtime/text/id_tokenizer.hpp"
#include "runtime/weights/digest.hpp"
#include "runtime/weights/random_weights.hpp"

namespace tutti {

ModelToRun ModelToRun::from_file(const std::filesystem::path& path) {
  ModelToRun model;
  model.file_ = std::make_unique<ModelFile>(path);
  model.identity_ = model.file_->identity();
  model.spec_ = DecoderSpec::from_json(model.file_->config());
  return model;
}

ModelToRun ModelToRun::from_shape(const std::string& shape, std::uint64_t seed, DType dtype) {
  ModelToRun model;
  model.seed_ = seed;
  model.dtype_ = dtype;
  model.spec_ = load_shape(shape);
  const auto parameters =
      static_cast<std::uint64_t>(ShardPlan(model.spec_.shard_shape(), 1).share(0).parameters);
  model.identity_ = {.name = fmt::format("{} with random weights (seed {})",
                                         std::filesystem::path(shape).stem().string(), seed),
                     .source = fmt::format("random weights, seed {}", seed),
                     .created_by = "",
                     .fingerprint = sha256_hex(fmt::format("random {} {} {}", seed, name_of(dtype),
                                                           model.spec_.to_json().dump())),
                     .format_version = 0,
                     .parameters = parameters,
                     .weight_bytes = parameters * size_of(dtype),
                     .dtype = std::string(name_of(dtype))};
  return model;
}

const TokenizerAssets& ModelToRun::tokenizer_assets() const {
  return file_ == nullptr ? no_assets_ : file_->tokenizer();
}

std::unique_ptr<Tokenizer> ModelToRun::make_tokenizer() const {
  if (file_ == nullptr) {
    return std::make_unique<IdTokenizer>(spec_.vocabulary);
  }
  return tutti::make_tokenizer(file_->tokenizer());
}

std::unique_ptr<WeightSource> ModelToRun::source(
    const ReadOptions& options, std::function<void(std::uint64_t)> on_bytes) const {
  if (file_ == nullptr) {
    return std::make_unique<RandomWeights>(seed_, dtype_, std::move(on_bytes));
  }
  return std::make_unique<ModelFileSource>(*file_, options, std::move(on_bytes));
}

}  // namespace tutti
