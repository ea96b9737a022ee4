// What a session runs: a model file, or a shape whose weights are hashed from a seed.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "models/decoder_spec.hpp"
#include "runtime/text/tokenizer.hpp"
#include "runtime/weights/model_file.hpp"
#include "runtime/weights/weight_source.hpp"

namespace tutti {

class ModelToRun {
 public:
  // Errors: ModelFileError.
  static ModelToRun from_file(const std::filesystem::path& path);
  // `shape` names one of models/shapes or a JSON file. Errors: ConfigError, ModelFileError.
  static ModelToRun from_shape(const std::string& shape, std::uint64_t seed, DType dtype);

  const ModelIdentity& identity() const { return identity_; }
  const DecoderSpec& spec() const { return spec_; }
  // The tokenizer's files; none where there is a shape only.
  const TokenizerAssets& tokenizer_assets() const;
  // Of a shape, ids as numbers. Errors: ModelFileError.
  std::unique_ptr<Tokenizer> make_tokenizer() const;

  // on_bytes hears how many more bytes of the file arrived.
  std::unique_ptr<WeightSource> source(const ReadOptions& options,
                                       std::function<void(std::uint64_t)> on_bytes) const;

 private:
  ModelToRun() = default;

  std::unique_ptr<ModelFile> file_;  // null: a shape
  std::uint64_t seed_ = 0;
  DType dtype_ = DType::bf16;
  ModelIdentity identity_;
  DecoderSpec spec_;
  TokenizerAssets no_assets_;
};

}  // namespace tutti
