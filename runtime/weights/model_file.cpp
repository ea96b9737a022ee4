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
  void check_block(std::size_t index, std::int64_t block, std::span<const std::byte> rows) const;

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

void ModelFile::Impl::check_block(std::size_t index, std::int64_t block,
                                  std::span<const std::byte> rows) const {
  const TensorInfo& tensor = catalog.tensors[index];
  const std::uint64_t wanted = catalog.storage[index].blocks[static_cast<std::size_t>(block)];
  if (const std::uint64_t found = xxh3(rows); found != wanted) {
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

void ModelFile::read_rows(const TensorInfo& tensor_in, Range rows, const ReadOptions& options,
                          const RowSink& sink) const {
  const TensorInfo* own = impl_->find(tensor_in.name);
  if (own == nullptr) {
    fail(path().string(), fmt::format("has no tensor {}", tensor_in.name));
  }
  const TensorInfo& tensor = *own;
  const auto index = static_cast<std::size_t>(own - impl_->catalog.tensors.data());
  if (rows.begin < 0 || rows.end > tensor.rows() || rows.begin > rows.end) {
    fail(path().string(), fmt::format("{} has rows 0..{}, wanted {}..{}", tensor.name,
                                      tensor.rows(), rows.begin, rows.end));
  }
  if (rows.empty()) {
    return;
  }
  const std::int64_t step = tensor.block_rows;
  const std::int64_t first_block = rows.begin / step;
  const auto count = static_cast<std::size_t>((rows.end - 1) / step - first_block + 1);
  const std::size_t threads =
      std::min(count, static_cast<std::size_t>(std::max(options.threads, 1)));
  const std::size_t row_bytes = tensor.row_bytes();
  const auto buffer_bytes = static_cast<std::size_t>(step) * row_bytes;
  std::vector<std::unique_ptr<std::byte[]>> buffers(threads);
  run_parallel(count, static_cast<int>(threads), [&](std::size_t worker, std::size_t i) {
    std::unique_ptr<std::byte[]>& buffer = buffers[worker];
    if (!buffer) {
      buffer = std::make_unique_for_overwrite<std::byte[]>(buffer_bytes);
    }
    const std::int64_t block = first_block + static_cast<std::int64_t>(i);
    const Range whole{block * step, std::min((block + 1) * step, tensor.rows())};
    const Range wanted{std::max(whole.begin, rows.begin), std::min(whole.end, rows.end)};
    const Range read = options.check ? whole : wanted;
    const std::span<std::byte> piece(buffer.get(),
                                     static_cast<std::size_t>(read.size()) * row_bytes);
    impl_->read_piece(index, read, piece);
    if (options.check) {
      impl_->check_block(index, block, piece);
    }
    sink(wanted.begin,
         piece.subspan(static_cast<std::size_t>(wanted.begin - read.begin) * row_bytes,
                       static_cast<std::size_t>(wanted.size()) * row_bytes));
  });
}

}  // namespace tutti
