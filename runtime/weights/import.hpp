// From a source to a model file: a list of what becomes what, and the parallel, streaming copy.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/dtype.hpp"
#include "runtime/weights/assets.hpp"
#include "runtime/weights/tensor_source.hpp"

namespace tutti {

// Rows of a source that holds more than one tensor: block b is the rows
// [first + b * stride, first + b * stride + block).
struct RowPick {
  std::int64_t first = 0;
  std::int64_t block = 0;  // 0: all rows
  std::int64_t stride = 0;
  std::int64_t blocks = 1;

  std::int64_t rows() const { return block * blocks; }
};

// Those that follow each other under one name are stored below each other, as one tensor: the
// matrices of experts.
struct ImportTensor {
  std::string name;  // canonical
  std::string source_name;
  DType dtype = DType::bf16;
  // source [out, in] -> stored [in, out], for row-parallel weights; or source [in, out] -> stored
  // [out, in], for the others where a family stores all so
  bool transpose = false;
  // GGUF stores q and k rows of the llama family in interleaved rotary order; with heads > 0 the
  // rows of each head go back to the half-split order: stored row j*(d/2)+i <- source row 2*i+j.
  int interleaved_heads = 0;
  // Of the source's rows; of its columns, and one block only, where it is transposed.
  RowPick pick = {};
  float add = 0;  // to every element; the stored type is f32 then
  // The dimensions that the source's tensor is read with, as many elements as it has; empty: its
  // own.
  std::vector<std::int64_t> read_as = {};
  Range source_rows = {};  // of that, what this is about; empty: all
};

struct ImportJob {
  std::string name;
  std::string source;           // path as given
  nlohmann::json config;        // canonical
  std::string original_config;  // text
  TokenizerAssets tokenizer;
  std::vector<ImportTensor> tensors;
  std::string created_by = "tutti";  // "tutti 0.1.0 (commit)"
};

struct ImportOptions {
  int threads = 1;
  bool overwrite = false;  // replace an existing output
  // (bytes done, bytes in all), from one thread at a time.
  std::function<void(std::uint64_t, std::uint64_t)> on_progress = {};
  // Hears the fingerprint before the file gets its name; what it throws ends the import.
  std::function<void(const std::string& fingerprint)> accept = {};
};

struct ImportReport {
  std::string fingerprint;
  std::uint64_t bytes = 0;  // of weights written
  double seconds = 0;
};

// Writes `out` under a temporary name in the same folder and renames it when complete; nothing is
// left behind on failure. Errors: ModelFileError (source), ConfigError (output exists), Error
// (disk full: says how much was wanted and was free).
ImportReport import_model(const TensorSource& source, const ImportJob& job,
                          const std::filesystem::path& out, const ImportOptions& options);

}  // namespace tutti
