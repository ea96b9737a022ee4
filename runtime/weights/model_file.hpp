// A model file as any rank reads it: the architecture, the tokenizer and rows of tensors
// (docs/model_file.md is the format's contract).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/range.hpp"
#include "runtime/weights/assets.hpp"
#include "runtime/weights/tensor_info.hpp"

namespace tutti {

struct ModelIdentity {
  std::string name;
  std::string source;       // what it was imported from
  std::string created_by;   // "tutti 0.1.0 (commit)"
  std::string fingerprint;  // SHA-256 hex over config, tokenizer and tensors
  int format_version = 0;
  std::uint64_t parameters = 0;
  std::uint64_t weight_bytes = 0;
  std::string dtype;  // "bf16", or "bf16+f32" where tensors differ, commonest bytes first
};

// What one rank reads, block by block. Called from several reader threads at once, on disjoint
// rows.
using RowSink = std::function<void(std::int64_t first_row, std::span<const std::byte> rows)>;

struct ReadOptions {
  bool check = true;  // compare XXH3 of every block that is touched
  int threads = 1;    // readers
};

// Rows of a tensor that are read and checked together.
struct RowBlock {
  std::size_t tensor = 0;  // in ModelFile::tensors()
  std::int64_t block = 0;  // of the tensor
  Range read;              // the whole block where it is checked
  Range wanted;            // of these
};

struct OpenOptions {
  // Re-hash config and tokenizer (a few MB) and the fingerprint over them and the stored digests of
  // the tensors. Off for `verify`, which reports instead of refusing.
  bool check = true;
};

struct ModelCatalog;  // runtime/weights/model_catalog.hpp: the metadata, stored digests included

// Errors: ModelFileError, naming file, tensor, wanted and found.
class ModelFile {
 public:
  explicit ModelFile(const std::filesystem::path& path, const OpenOptions& options = {});
  ~ModelFile();
  ModelFile(ModelFile&&) noexcept;
  ModelFile& operator=(ModelFile&&) noexcept;
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;

  const std::filesystem::path& path() const;
  const ModelIdentity& identity() const;
  const nlohmann::json& config() const;        // canonical field names
  const std::string& original_config() const;  // config.json or GGUF metadata, as text
  const TokenizerAssets& tokenizer() const;
  const std::vector<TensorInfo>& tensors() const;  // sorted by name
  const TensorInfo* find(const std::string& name) const;
  // The tensor, or an error that names it; `shape` is what the caller's architecture wants.
  const TensorInfo& require(const std::string& name, std::span<const std::int64_t> shape) const;

  // Reads rows [rows.begin, rows.end) in blocks. Whole blocks are read where `check` is set, and
  // only the wanted rows are handed on; with one thread in ascending order. Holds one block of
  // memory per thread (about 4 MiB, or one row). Thread-safe.
  void read_rows(const TensorInfo& tensor, Range rows, const ReadOptions& options,
                 const RowSink& sink) const;

  // The same by hand, for who brings the memory: the blocks that rows [rows.begin, rows.end) touch,
  // in order, …
  std::vector<RowBlock> blocks(const TensorInfo& tensor, Range rows, bool check) const;
  // … how much memory one needs …
  std::size_t bytes(const RowBlock& block) const;
  // … and reads one into the first of `buffer`; returns the wanted rows there. Thread-safe.
  std::span<const std::byte> read_block(const RowBlock& block, bool check,
                                        std::span<std::byte> buffer) const;

  const ModelCatalog& catalog() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// `tutti inspect --verify`: one finding for each tensor, config or tokenizer entry whose digest
// differs from what is stored, and for the fingerprint. Open the file with {.check = false}.
struct VerifyFinding {
  // "layers.3.attention.q", "config/original", "tokenizer/tokenizer.json", "fingerprint", or
  // "blocks/layers.3.attention.q rows 0..128" where only the XXH3 of good bytes is wrong
  std::string what;
  std::string wanted;
  std::string found;
};
// on_bytes(n): n more bytes were hashed, for progress; called from several threads.
std::vector<VerifyFinding> verify(const ModelFile& file, int threads,
                                  const std::function<void(std::uint64_t)>& on_bytes);

}  // namespace tutti
