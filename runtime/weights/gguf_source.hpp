// A GGUF file: tensors, hyper-parameters and tokenizer in one.
#pragma once

#include <map>
#include <nlohmann/json.hpp>

#include "runtime/weights/dequantize.hpp"
#include "runtime/weights/input.hpp"
#include "runtime/weights/tensor_source.hpp"

namespace tutti {

class GgufSource final : public TensorSource {
 public:
  // Reads the header only. Errors: ModelFileError, also for one of a model's parts.
  explicit GgufSource(const std::filesystem::path& path);

  const std::vector<SourceTensor>& tensors() const override { return tensors_; }
  // Every metadata key but `tokenizer.*`.
  const nlohmann::json& config() const override { return config_; }
  // "gguf.json": the `tokenizer.*` keys; "chat_template" where there is one.
  const TokenizerAssets& tokenizer() const override { return tokenizer_; }
  std::string format() const override { return "gguf"; }
  std::string default_name() const override { return default_name_; }
  void read_rows(const SourceTensor& tensor, Range rows, DType dtype,
                 std::byte* dst) const override;

 private:
  struct Location {
    const BlockFormat* format = nullptr;
    std::uint64_t offset = 0;
  };

  InputFile file_;
  std::vector<SourceTensor> tensors_;          // sorted by name
  std::map<std::string, Location> locations_;  // by name
  nlohmann::json config_;
  TokenizerAssets tokenizer_;
  std::string default_name_;
};

}  // namespace tutti
