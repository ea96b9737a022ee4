#include "runtime/weights/model_catalog.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "kernels/error.hpp"
#include "runtime/weights/digest.hpp"
#include "runtime/weights/fingerprint.hpp"
#include "runtime/weights/hdf5_reader.hpp"
#include "runtime/weights/model_layout.hpp"
#include "runtime/weights/model_summary.hpp"

namespace tutti {
namespace {

std::string in(const char* group, const std::string& name) {
  return group + ("/" + name);
}

[[noreturn]] void fail(const std::string& file, const std::string& what) {
  throw ModelFileError(file + ": " + what);
}

void check_format(const Hdf5Object& root, const std::string& file) {
  if (!root.has_attribute("format")) {
    fail(file, fmt::format("an HDF5 file, but not a model file: wanted attribute format = \"{}\", "
                           "found none; make one by `tutti import`",
                           layout::kFormat));
  }
  if (const std::string format = root.text("format"); format != layout::kFormat) {
    fail(file, fmt::format("wanted format \"{}\", found \"{}\"", layout::kFormat, format));
  }
  if (const std::int64_t version = root.number("format_version");
      version != layout::kFormatVersion) {
    fail(file, fmt::format("format version: wanted {}, found {}; import the model again with this "
                           "tutti, or use the one that wrote it",
                           layout::kFormatVersion, version));
  }
}

std::string digest_attribute(const Hdf5Object& object, const char* name) {
  std::string digest = object.text(name);
  const bool hex = std::all_of(digest.begin(), digest.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  if (digest.size() != layout::kSha256Digits || !hex) {
    throw ModelFileError(fmt::format("{}: attribute '{}' is \"{}\", wanted {} hex digits",
                                     object.where(), name, digest.substr(0, 80),
                                     layout::kSha256Digits));
  }
  if (digest.find_first_not_of('0') == std::string::npos) {
    throw ModelFileError(
        fmt::format("{}: attribute '{}' is empty: this file was never finished, "
                    "import the model again",
                    object.where(), name));
  }
  return digest;
}

std::string read_entry(const Hdf5Reader& reader, const std::string& path, ModelCatalog& catalog) {
  const Hdf5Dataset dataset = reader.dataset(path);
  catalog.sha256[path] = digest_attribute(dataset, "sha256");
  return dataset.bytes();
}

void read_tensor(const Hdf5Reader& reader, const std::string& name, ModelCatalog& catalog) {
  const Hdf5Dataset data = reader.dataset(in(layout::kWeights, name));
  const std::string dtype_name = data.text("dtype");
  const std::optional<DType> dtype = dtype_from_name(dtype_name);
  if (!dtype || data.dtype() != dtype) {
    throw ModelFileError(
        fmt::format("{}: attribute 'dtype' is \"{}\", the data are {}; wanted f32, "
                    "f16, bf16 or i32 and both alike",
                    data.where(), dtype_name.substr(0, 80), data.type_text()));
  }
  TensorInfo info{.name = name,
                  .dtype = *dtype,
                  .shape = data.shape(),
                  .sha256 = digest_attribute(data, "sha256"),
                  .source_name = data.text("source_name")};
  if ((info.shape.size() != 1 && info.shape.size() != 2) || info.elements() == 0 ||
      info.row_bytes() > layout::kMaxRowBytes) {
    throw ModelFileError(
        fmt::format("{}: is {}, wanted one or two dimensions of at least 1 and "
                    "rows of at most {} bytes",
                    data.where(), describe_shape(info.dtype, info.shape), layout::kMaxRowBytes));
  }
  const Hdf5Dataset blocks = reader.dataset(in(layout::kBlocks, name));
  info.block_rows = blocks.number("block_rows");
  const auto limit = static_cast<std::int64_t>(
      std::max<std::size_t>(layout::kMaxBlockBytes / info.row_bytes(), 1));
  if (info.block_rows < 1 || info.block_rows > info.rows() || info.block_rows > limit) {
    throw ModelFileError(fmt::format("{}: block_rows is {}, wanted 1..{}", blocks.where(),
                                     info.block_rows, std::min(limit, info.rows())));
  }
  if (blocks.shape() != std::vector<std::int64_t>{info.blocks()}) {
    throw ModelFileError(fmt::format("{}: is [{}], wanted [{}] for {} rows in blocks of {}",
                                     blocks.where(), fmt::join(blocks.shape(), ", "), info.blocks(),
                                     info.rows(), info.block_rows));
  }
  catalog.storage.push_back({.offset = data.offset(), .blocks = blocks.words()});
  catalog.tensors.push_back(std::move(info));
}

nlohmann::json parse_config(const std::string& text, const std::string& file) {
  nlohmann::json config = nlohmann::json::parse(text, nullptr, false);
  if (!config.is_object()) {
    fail(file, fmt::format("{}: wanted a JSON object, found {}", layout::kCanonicalConfig,
                           config.is_discarded() ? "no valid JSON" : config.type_name()));
  }
  return config;
}

}  // namespace

ModelCatalog read_catalog(const Hdf5Reader& reader, const std::string& file_name) {
  ModelCatalog catalog;
  const Hdf5Object root = reader.group("/");
  check_format(root, file_name);
  ModelIdentity& identity = catalog.identity;
  identity.format_version = static_cast<int>(layout::kFormatVersion);
  identity.name = root.text("name");
  identity.source = root.text("source");
  identity.created_by = root.text("created_by");
  identity.fingerprint = digest_attribute(root, "fingerprint");
  catalog.config_text = read_entry(reader, layout::kCanonicalConfig, catalog);
  catalog.config = parse_config(catalog.config_text, file_name);
  catalog.original_config = read_entry(reader, layout::kOriginalConfig, catalog);
  for (const std::string& name : reader.members(layout::kTokenizer)) {
    catalog.tokenizer[name] = read_entry(reader, in(layout::kTokenizer, name), catalog);
  }
  for (const std::string& name : reader.members(layout::kWeights)) {
    read_tensor(reader, name, catalog);
  }
  const ModelSummary summary = summarize(catalog.tensors);
  identity.parameters = summary.parameters;
  identity.weight_bytes = summary.weight_bytes;
  identity.dtype = summary.dtype;
  return catalog;
}

std::map<std::string, std::string> entry_digests(const ModelCatalog& catalog) {
  std::map<std::string, std::string> digests;
  digests[layout::kCanonicalConfig] = sha256_hex(catalog.config_text);
  digests[layout::kOriginalConfig] = sha256_hex(catalog.original_config);
  for (const auto& [name, content] : catalog.tokenizer) {
    digests[in(layout::kTokenizer, name)] = sha256_hex(content);
  }
  return digests;
}

std::string fingerprint_of(const ModelCatalog& catalog,
                           const std::map<std::string, std::string>& entries,
                           std::span<const TensorInfo> tensors) {
  std::map<std::string, std::string> tokenizer;
  for (const auto& [name, content] : catalog.tokenizer) {
    tokenizer[name] = entries.at(in(layout::kTokenizer, name));
  }
  return fingerprint(catalog.config_text, tokenizer, tensors);
}

}  // namespace tutti
