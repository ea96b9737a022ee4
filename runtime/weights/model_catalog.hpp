// Everything in a model file but the weights, read once when it is opened.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "runtime/weights/assets.hpp"
#include "runtime/weights/model_file.hpp"
#include "runtime/weights/tensor_info.hpp"

namespace tutti {

class Hdf5Reader;

// Where a tensor's bytes are, and what its blocks must hash to.
struct TensorStorage {
  std::optional<std::uint64_t> offset;  // nothing: HDF5 must read it
  std::vector<std::uint64_t> blocks;    // XXH3 per block_rows rows
};

struct ModelCatalog {
  ModelIdentity identity;
  nlohmann::json config;
  std::string config_text;  // as stored: what the fingerprint covers
  std::string original_config;
  TokenizerAssets tokenizer;
  std::map<std::string, std::string> sha256;  // as stored, by path: "config/original", …
  std::vector<TensorInfo> tensors;            // sorted by name
  std::vector<TensorStorage> storage;         // in the same order
};

// Errors: ModelFileError.
ModelCatalog read_catalog(const Hdf5Reader& reader, const std::string& file_name);

// The digests of config and tokenizer, recomputed, by path as in ModelCatalog::sha256.
std::map<std::string, std::string> entry_digests(const ModelCatalog& catalog);

// The fingerprint of what the file holds, given entry_digests() and the tensors' (stored or
// recomputed) digests.
std::string fingerprint_of(const ModelCatalog& catalog,
                           const std::map<std::string, std::string>& entries,
                           std::span<const TensorInfo> tensors);

}  // namespace tutti
