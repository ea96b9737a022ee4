#include "runtime/weights/model_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "kernels/error.hpp"
#include "runtime/weights/digest.hpp"
#include "runtime/weights/file_descriptor.hpp"
#include "runtime/weights/hdf5_reader.hpp"
#include "runtime/weights/model_catalog.hpp"
#include "runtime/weights/model_layout.hpp"
#include "runtime/weights/model_summary.hpp"
#include "runtime/weights/parallel.hpp"

namespace tutti {
namespace {

constexpr std::array<unsigned char, 8> kHdf5Signature{0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
constexpr unsigned char kChecksummedSuperblock = 2;
constexpr std::size_t kHashedBytes = std::size_t{256} << 10;

[[noreturn]] void fail(const std::string& file, const std::string& what) {
  throw ModelFileError(file + ": " + what);
}

// Before HDF5 sees it: is it there, a file, and of the kind whose metadata carry checksums? The
// older kind is open to damage that sends the library to wrong addresses.
std::uint64_t check_file(const FileDescriptor& file, const std::string& name) {
  struct stat info {};
  if (!file.valid() || ::fstat(file.get(), &info) != 0) {
    fail(name, fmt::format("cannot be opened: {}", std::strerror(errno)));
  }
  if (!S_ISREG(info.st_mode)) {
    fail(name, fmt::format("wanted a model file, found {}; a folder of safetensors becomes one by "
                           "`tutti import`",
                           S_ISDIR(info.st_mode) ? "a folder" : "no plain file"));
  }
  std::array<unsigned char, 9> head{};
  const ReadResult got = read_at(file, 0, std::as_writable_bytes(std::span(head)));
  if (got.error != 0) {
    fail(name, fmt::format("cannot be read: {}", std::strerror(got.error)));
  }
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (std::memcmp(head.data(), "GGUF", 4) == 0) {
    fail(name, "wanted a model file (HDF5), found GGUF; `tutti import` makes the one of the other");
  }
  if (got.bytes < head.size() ||
      !std::equal(kHdf5Signature.begin(), kHdf5Signature.end(), head.begin())) {
    fail(name,
         fmt::format("wanted a model file (HDF5), found {} bytes that do not begin as one", size));
  }
  if (head[8] < kChecksummedSuperblock) {
    fail(name, fmt::format("wanted HDF5 superblock version 2 or later (metadata with checksums), "
                           "found {}; see docs/model_file.md",
                           head[8]));
  }
  return size;
}

}  // namespace

struct ModelFile::Impl {
  Impl(const std::filesystem::path& path_in, const OpenOptions& options);
  const TensorInfo* find(const std::string& name) const;
  void read_piece(std::size_t index, Range rows, std::span<std::byte> to) const;
  std::uint64_t read_hashed(std::size_t index, Range rows, std::span<std::byte> to) const;
  void check_block(std::size_t index, std::int64_t block, std::uint64_t found) const;

  std::filesystem::path path;
  FileDescriptor file;
  ModelCatalog catalog;
  std::optional<Hdf5Reader> reader;  // only where a tensor has no plain offset
};

ModelFile::Impl::Impl(const std::filesystem::path& path_in, const OpenOptions& options)
    : path(path_in), file(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  const std::string name = path.string();
  const std::uint64_t bytes = check_file(file, name);
  reader.emplace(path, bytes);
  catalog = read_catalog(*reader, name);
  if (std::all_of(catalog.storage.begin(), catalog.storage.end(),
                  [](const TensorStorage& storage) { return storage.offset.has_value(); })) {
    reader.reset();
  }
  if (!options.check) {
    return;
  }
  const std::map<std::string, std::string> entries = entry_digests(catalog);
  for (const auto& [entry, found] : entries) {
    if (const std::string& wanted = catalog.sha256.at(entry); wanted != found) {
      fail(name, fmt::format("{}: SHA-256 wanted {}, found {}; the file is damaged or was edited",
                             entry, wanted, found));
    }
  }
  const std::string found = fingerprint_of(catalog, entries, catalog.tensors);
  if (found != catalog.identity.fingerprint) {
    fail(name, fmt::format("fingerprint wanted {}, found {}; the file is damaged or was edited",
                           catalog.identity.fingerprint, found));
  }
}

const TensorInfo* ModelFile::Impl::find(const std::string& name) const {
  const auto found =
      std::lower_bound(catalog.tensors.begin(), catalog.tensors.end(), name,
                       [](const TensorInfo& a, const std::string& b) { return a.name < b; });
  return found != catalog.tensors.end() && found->name == name ? &*found : nullptr;
}

void ModelFile::Impl::read_piece(std::size_t index, Range rows, std::span<std::byte> to) const {
  const TensorInfo& tensor = catalog.tensors[index];
  const std::optional<std::uint64_t> offset = catalog.storage[index].offset;
  if (!offset) {
    reader->dataset(std::string(layout::kWeights) + "/" + tensor.name)
        .read_rows(rows.begin, rows.size(), to);
    return;
  }
  const std::uint64_t at = *offset + static_cast<std::uint64_t>(rows.begin) * tensor.row_bytes();
  const ReadResult got = read_at(file, at, to);
  if (got.bytes != to.size()) {
    fail(path.string(), fmt::format("tensor {}, rows {}..{}: wanted {} bytes at {}, found {}{}",
                                    tensor.name, rows.begin, rows.end, to.size(), at, got.bytes,
                                    got.error != 0 ? fmt::format(" ({})", std::strerror(got.error))
                                                   : ": the file was cut short meanwhile"));
  }
}

// Reads and returns the XXH3, in pieces that are still in the second-level cache when they are
// hashed: readers side by side would else share the memory's bandwidth with their own checks.
std::uint64_t ModelFile::Impl::read_hashed(std::size_t index, Range rows,
                                           std::span<std::byte> to) const {
  const std::size_t row_bytes = catalog.tensors[index].row_bytes();
  const auto few = static_cast<std::int64_t>(std::max<std::size_t>(1, kHashedBytes / row_bytes));
  const std::int64_t step = catalog.storage[index].offset ? few : rows.size();
  Xxh3 hash;
  for (std::int64_t row = rows.begin; row < rows.end; row += step) {
    const Range some{row, std::min(row + step, rows.end)};
    const auto piece = to.subspan(static_cast<std::size_t>(row - rows.begin) * row_bytes,
                                  static_cast<std::size_t>(some.size()) * row_bytes);
    read_piece(index, some, piece);
    hash.update(piece);
  }
  return hash.finish();
}

void ModelFile::Impl::check_block(std::size_t index, std::int64_t block,
                                  std::uint64_t found) const {
  const TensorInfo& tensor = catalog.tensors[index];
  const std::uint64_t wanted = catalog.storage[index].blocks[static_cast<std::size_t>(block)];
  if (found != wanted) {
    fail(path.string(),
         fmt::format("tensor {}, rows {}..{}: XXH3 wanted {:016x}, found {:016x}; the file is "
                     "damaged, copy or import it again (`tutti inspect --verify` finds all damage)",
                     tensor.name, block * tensor.block_rows,
                     std::min((block + 1) * tensor.block_rows, tensor.rows()), wanted, found));
  }
}

ModelFile::ModelFile(const std::filesystem::path& path, const OpenOptions& options)
    : impl_(std::make_unique<Impl>(path, options)) {}

ModelFile::~ModelFile() = default;
ModelFile::ModelFile(ModelFile&&) noexcept = default;
ModelFile& ModelFile::operator=(ModelFile&&) noexcept = default;

const std::filesystem::path& ModelFile::path() const {
  return impl_->path;
}
const ModelIdentity& ModelFile::identity() const {
  return impl_->catalog.identity;
}
const nlohmann::json& ModelFile::config() const {
  return impl_->catalog.config;
}
const std::string& ModelFile::original_config() const {
  return impl_->catalog.original_config;
}
const TokenizerAssets& ModelFile::tokenizer() const {
  return impl_->catalog.tokenizer;
}
const std::vector<TensorInfo>& ModelFile::tensors() const {
  return impl_->catalog.tensors;
}
const ModelCatalog& ModelFile::catalog() const {
  return impl_->catalog;
}

const TensorInfo* ModelFile::find(const std::string& name) const {
  return impl_->find(name);
}

const TensorInfo& ModelFile::require(const std::string& name,
                                     std::span<const std::int64_t> shape) const {
  const TensorInfo* tensor = find(name);
  if (tensor == nullptr) {
    fail(path().string(), fmt::format("has no tensor {}, which its architecture wants", name));
  }
  if (!std::equal(shape.begin(), shape.end(), tensor->shape.begin(), tensor->shape.end())) {
    fail(path().string(), fmt::format("{} is {}, its architecture wants {}", name,
                                      describe_shape(tensor->dtype, tensor->shape),
                                      describe_shape(tensor->dtype, shape)));
  }
  return *tensor;
}

std::vector<RowBlock> ModelFile::blocks(const TensorInfo& tensor_in, Range rows, bool check) const {
  const TensorInfo* tensor = impl_->find(tensor_in.name);
  if (tensor == nullptr) {
    fail(path().string(), fmt::format("has no tensor {}", tensor_in.name));
  }
  if (rows.begin < 0 || rows.end > tensor->rows() || rows.begin > rows.end) {
    fail(path().string(), fmt::format("{} has rows 0..{}, wanted {}..{}", tensor->name,
                                      tensor->rows(), rows.begin, rows.end));
  }
  std::vector<RowBlock> found;
  const std::int64_t step = tensor->block_rows;
  for (std::int64_t block = rows.begin / step; !rows.empty() && block * step < rows.end; ++block) {
    const Range whole{block * step, std::min((block + 1) * step, tensor->rows())};
    const Range wanted{std::max(whole.begin, rows.begin), std::min(whole.end, rows.end)};
    found.push_back({.tensor = static_cast<std::size_t>(tensor - impl_->catalog.tensors.data()),
                     .block = block,
                     .read = check ? whole : wanted,
                     .wanted = wanted});
  }
  return found;
}

std::size_t ModelFile::bytes(const RowBlock& block) const {
  return static_cast<std::size_t>(block.read.size()) * tensors()[block.tensor].row_bytes();
}

std::span<const std::byte> ModelFile::read_block(const RowBlock& block, bool check,
                                                 std::span<std::byte> buffer) const {
  const std::span<std::byte> piece = buffer.first(bytes(block));
  if (check) {
    impl_->check_block(block.tensor, block.block,
                       impl_->read_hashed(block.tensor, block.read, piece));
  } else {
    impl_->read_piece(block.tensor, block.read, piece);
  }
  const std::size_t row_bytes = tensors()[block.tensor].row_bytes();
  return piece.subspan(static_cast<std::size_t>(block.wanted.begin - block.read.begin) * row_bytes,
                       static_cast<std::size_t>(block.wanted.size()) * row_bytes);
}

void ModelFile::read_rows(const TensorInfo& tensor, Range rows, const ReadOptions& options,
                          const RowSink& sink) const {
  const std::vector<RowBlock> list = blocks(tensor, rows, options.check);
  std::vector<std::vector<std::byte>> buffers(
      static_cast<std::size_t>(std::max(options.threads, 1)));
  run_parallel(list.size(), options.threads, [&](std::size_t worker, std::size_t i) {
    std::vector<std::byte>& buffer = buffers[worker];
    buffer.resize(std::max(buffer.size(), bytes(list[i])));
    sink(list[i].wanted.begin, read_block(list[i], options.check, buffer));
  });
}

}  // namespace tutti
