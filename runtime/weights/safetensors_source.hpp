// A Hugging Face folder: config.json, tensors in *.safetensors, the tokenizer's files beside them.
#pragma once

#include <map>
#include <nlohmann/json.hpp>

#include "runtime/weights/input.hpp"
#include "runtime/weights/tensor_source.hpp"

namespace tutti {

class SafetensorsSource final : public TensorSource {
 public:
  // Reads model.safetensors.index.json and the files that it names; without it model.safetensors,
  // and without that all *.safetensors. Only headers are read here. Errors: ModelFileError.
  explicit SafetensorsSource(const std::filesystem::path& folder);

  const std::vector<SourceTensor>& tensors() const override { return tensors_; }
  const nlohmann::json& config() const override { return config_; }
  const TokenizerAssets& tokenizer() const override { return tokenizer_; }
  std::string format() const override { return "safetensors"; }
  std::string default_name() const override { return default_name_; }
  void read_rows(const SourceTensor& tensor, Range rows, DType dtype,
                 std::byte* dst) const override;

 private:
  struct Location {
    std::size_t file = 0;
    std::uint64_t offset = 0;
  };

  void open_files(const std::filesystem::path& folder);
  void add_file(const std::filesystem::path& path);

  std::vector<InputFile> files_;
  std::vector<SourceTensor> tensors_;          // sorted by name
  std::map<std::string, Location> locations_;  // by name
  nlohmann::json config_;
  TokenizerAssets tokenizer_;
  std::string default_name_;
};

}  // namespace tutti
