// Where an import reads tensors from: safetensors folders and GGUF files behind one interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "kernels/dtype.hpp"
#include "kernels/range.hpp"
#include "runtime/weights/assets.hpp"

namespace tutti {

struct SourceTensor {
  std::string name;
  std::string encoding;             // as the source calls it: "BF16", "Q4_K"
  std::optional<DType> dtype;       // the plain type, or nothing where it is quantized
  std::vector<std::int64_t> shape;  // row-major; GGUF's reversed order already undone
  std::uint64_t bytes = 0;          // in the source
  bool readable = true;             // false: an encoding that read_rows refuses (I64, IQ2_XXS)

  std::int64_t rows() const { return shape.empty() ? 1 : shape[0]; }
  std::int64_t row_elements() const;  // product of the other dimensions
};

class TensorSource {
 public:
  virtual ~TensorSource() = default;
  virtual const std::vector<SourceTensor>& tensors() const = 0;
  // config.json of a folder, or the non-tokenizer metadata of a GGUF file (keys as stored there,
  // "general.architecture", "llama.block_count", …).
  virtual const nlohmann::json& config() const = 0;
  virtual const TokenizerAssets& tokenizer() const = 0;
  virtual std::string format() const = 0;        // "safetensors" or "gguf"
  virtual std::string default_name() const = 0;  // model name from metadata or the path
  // Rows [rows.begin, rows.end) as `dtype`, dense, into dst. Dequantises or converts as needed;
  // a copy where the dtype is the source's. Thread-safe.
  virtual void read_rows(const SourceTensor& tensor, Range rows, DType dtype,
                         std::byte* dst) const = 0;
};

// Opens a folder with *.safetensors or a .gguf file. Errors: ModelFileError.
std::unique_ptr<TensorSource> open_source(const std::filesystem::path& path);

}  // namespace tutti
