// Writes a model file (docs/model_file.md) as a stream, from any number of threads: everything is
// laid out first, then rows come in, and digests are made of the bytes as they pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "kernels/dtype.hpp"
#include "runtime/weights/assets.hpp"
#include "runtime/weights/tensor_info.hpp"

namespace tutti {

struct TensorSpec {
  std::string name;  // canonical; no '/', unique
  DType dtype = DType::bf16;
  std::vector<std::int64_t> shape;  // 1-D or 2-D, no empty dimension
  std::string source_name;
};

// All of a model but the bytes of its tensors.
struct ModelContents {
  std::string name;
  std::string source;           // what it is imported from
  std::string created_by;       // "tutti 0.1.0 (commit)"
  nlohmann::json config;        // canonical field names; an object
  std::string original_config;  // text, any format
  TokenizerAssets tokenizer;
  std::vector<TensorSpec> tensors;  // laid out in this order
};

// Writes under a temporary name in the folder of `out` (".NAME.PID-RANDOM.partial") and renames it
// in finish(); without finish() the destructor removes it. Nothing of HDF5 is held open while rows
// are written.
class ModelWriter {
 public:
  // Lays out the whole file and takes its place on the disk. Errors: ConfigError (output exists and
  // `overwrite` is off, output cannot be created, contents that the format cannot hold), Error (not
  // enough space: says how much is wanted and free).
  ModelWriter(const std::filesystem::path& out, ModelContents contents, bool overwrite = false);
  ~ModelWriter();
  ModelWriter(ModelWriter&&) noexcept;
  ModelWriter& operator=(ModelWriter&&) noexcept;
  ModelWriter(const ModelWriter&) = delete;
  ModelWriter& operator=(const ModelWriter&) = delete;

  // In the order of ModelContents::tensors. sha256 is empty before finish().
  const std::vector<TensorInfo>& tensors() const;
  std::uint64_t weight_bytes() const;

  // The next whole rows of tensor `index`: the rows of one tensor come in ascending order, each
  // once, by one thread at a time (SHA-256 wants them so); different tensors by different threads
  // at the same time. Any number of rows a call; half a MiB is efficient, which stays in a core's
  // cache for the digests.
  // Errors: Error (out of order, not whole rows, disk full: says how much was wanted and free).
  void write_rows(std::size_t index, std::int64_t first_row, std::span<const std::byte> rows);

  // Stores the digests, syncs, renames. `accept` hears the fingerprint before all that; what it
  // throws leaves no file behind. Returns the fingerprint. Once; after all rows of all
  // tensors. Errors: Error (a tensor lacks rows, disk full), ConfigError (the output has come to
  // exist meanwhile and `overwrite` is off).
  std::string finish(const std::function<void(const std::string&)>& accept = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tutti
