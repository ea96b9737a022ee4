#include "runtime/weights/model_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <utility>

#include "kernels/error.hpp"
#include "runtime/weights/digest.hpp"
#include "runtime/weights/fingerprint.hpp"
#include "runtime/weights/hdf5_writer.hpp"
#include "runtime/weights/model_layout.hpp"
#include "runtime/weights/model_summary.hpp"
#include "runtime/weights/output_file.hpp"

namespace tutti {
namespace {

constexpr std::size_t kMaxName = 1024;        // bytes
constexpr std::size_t kMaxAttribute = 16384;  // bytes; an HDF5 object header holds 64 KiB in all
const std::string kNoDigest(layout::kSha256Digits, '0');

// A tensor on its way: where it lies, how far it is, and its digests so far.
struct Progress {
  std::uint64_t offset = 0;
  std::int64_t next_row = 0;
  Sha256 sha256;
  Xxh3 block;
  std::vector<std::uint64_t> blocks;
};

std::string in(const char* group, const std::string& name) {
  return group + ("/" + name);
}

void check_name(const std::string& name, const char* what) {
  const bool plain = std::none_of(name.begin(), name.end(), [](char c) {
    return c == '/' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (name.empty() || name == "." || name.size() > kMaxName || !plain) {
    throw ConfigError(
        fmt::format("'{}' cannot name a {} in a model file: wanted 1 to {} "
                    "printable bytes without '/'",
                    name.substr(0, 80), what, kMaxName));
  }
}

void check_attribute(const std::string& text, const char* what) {
  if (text.size() > kMaxAttribute || text.find('\0') != std::string::npos) {
    throw ConfigError(fmt::format("the {} has {} bytes, wanted at most {} and no zero byte", what,
                                  text.size(), kMaxAttribute));
  }
}

TensorInfo checked_info(const TensorSpec& spec) {
  check_name(spec.name, "tensor");
  check_attribute(spec.source_name, "source name of a tensor");
  std::size_t bytes = size_of(spec.dtype);
  bool good = spec.shape.size() == 1 || spec.shape.size() == 2;
  for (std::int64_t extent : spec.shape) {
    good = good && extent > 0 &&
           !__builtin_mul_overflow(bytes, static_cast<std::size_t>(extent), &bytes) &&
           bytes <= static_cast<std::size_t>(INT64_MAX);
  }
  TensorInfo info{.name = spec.name,
                  .dtype = spec.dtype,
                  .shape = spec.shape,
                  .sha256 = {},
                  .source_name = spec.source_name};
  if (!good || info.row_bytes() > layout::kMaxRowBytes) {
    throw ConfigError(
        fmt::format("tensor {} is {}, wanted one or two dimensions of at least 1 and "
                    "rows of at most {} bytes",
                    spec.name, describe_shape(spec.dtype, spec.shape), layout::kMaxRowBytes));
  }
  info.block_rows = layout::block_rows(info.rows(), info.row_bytes());
  return info;
}

std::vector<TensorInfo> checked_tensors(const ModelContents& contents) {
  for (const auto& [text, what] :
       {std::pair{&contents.name, "name of the model"}, std::pair{&contents.source, "source"},
        std::pair{&contents.created_by, "creator"}}) {
    check_attribute(*text, what);
  }
  if (!contents.config.is_object()) {
    throw ConfigError("the canonical configuration is not a JSON object");
  }
  for (const auto& [name, content] : contents.tokenizer) {
    check_name(name, "tokenizer entry");
  }
  std::vector<TensorInfo> tensors;
  std::set<std::string> names;
  for (const TensorSpec& spec : contents.tensors) {
    tensors.push_back(checked_info(spec));
    if (!names.insert(spec.name).second) {
      throw ConfigError(fmt::format("two tensors are named {}", spec.name));
    }
  }
  return tensors;
}

std::string canonical_text(const nlohmann::json& config) {
  try {
    return config.dump();
  } catch (const nlohmann::json::exception& error) {
    throw ConfigError(fmt::format("the configuration is not valid UTF-8: {}", error.what()));
  }
}

}  // namespace

struct ModelWriter::Impl {
  Impl(const std::filesystem::path& out, ModelContents contents_in, bool overwrite);
  void lay_out();
  void add_entry(Hdf5Writer& writer, const std::string& name, const std::string& bytes);
  void store_digests(const std::string& print);
  int write(std::uint64_t offset, std::span<const std::byte> bytes) {  // 0 or errno
    int error = 0;
    {
      const std::lock_guard<std::mutex> turn(write_turn);
      error = write_at(output.file(), offset, bytes);
    }
    start_writeback(output.file(), offset, bytes.size());
    return error;
  }

  ModelContents contents;
  std::vector<TensorInfo> tensors;
  std::string config_text;
  std::vector<Progress> progress;
  OutputFile output;
  // The kernel lets one thread write to a file at a time, and the others spin: here they sleep, and
  // their cores hash.
  std::mutex write_turn;
};

ModelWriter::Impl::Impl(const std::filesystem::path& out, ModelContents contents_in, bool overwrite)
    : contents(std::move(contents_in)),
      tensors(checked_tensors(contents)),
      config_text(canonical_text(contents.config)),
      progress(tensors.size()),
      output(out, overwrite) {
  std::uint64_t bytes = config_text.size() + contents.original_config.size();
  for (const auto& [name, content] : contents.tokenizer) {
    bytes += content.size();
  }
  for (const TensorInfo& tensor : tensors) {
    bytes += tensor.bytes() + 2048;  // and its metadata
  }
  output.require_space(bytes);
  try {
    lay_out();
  } catch (const Error& error) {
    output.fail(error.what(), 0, bytes);
  }
  output.allocate();
}

void ModelWriter::Impl::add_entry(Hdf5Writer& writer, const std::string& name,
                                  const std::string& bytes) {
  writer.add_bytes(name, bytes);
  writer.add_text(name, "sha256", sha256_hex(bytes));
}

void ModelWriter::Impl::lay_out() {
  const std::size_t metadata =
      std::clamp<std::size_t>(tensors.size() * 1024, std::size_t{8} << 10, std::size_t{8} << 20);
  Hdf5Writer writer = Hdf5Writer::create(output.temporary(), metadata);
  const ModelSummary summary = summarize(tensors);
  writer.add_text("/", "format", layout::kFormat);
  writer.add_number("/", "format_version", static_cast<std::uint64_t>(layout::kFormatVersion));
  writer.add_text("/", "created_by", contents.created_by);
  writer.add_text("/", "source", contents.source);
  writer.add_text("/", "name", contents.name);
  writer.add_number("/", "parameters", summary.parameters);
  writer.add_number("/", "weight_bytes", summary.weight_bytes);
  writer.add_text("/", "dtype", summary.dtype);
  writer.add_text("/", "fingerprint", kNoDigest);
  for (const char* group :
       {layout::kConfig, layout::kTokenizer, layout::kWeights, layout::kBlocks}) {
    writer.add_group(group);
  }
  add_entry(writer, layout::kCanonicalConfig, config_text);
  add_entry(writer, layout::kOriginalConfig, contents.original_config);
  for (const auto& [name, content] : contents.tokenizer) {
    add_entry(writer, in(layout::kTokenizer, name), content);
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo& tensor = tensors[i];
    const std::string weights = in(layout::kWeights, tensor.name);
    const std::string blocks = in(layout::kBlocks, tensor.name);
    progress[i].offset = writer.add_tensor(weights, tensor.dtype, tensor.shape);
    writer.add_text(weights, "dtype", name_of(tensor.dtype));
    writer.add_text(weights, "sha256", kNoDigest);
    writer.add_text(weights, "source_name", tensor.source_name);
    writer.add_words(blocks, static_cast<std::size_t>(tensor.blocks()));
    writer.add_number(blocks, "block_rows", static_cast<std::uint64_t>(tensor.block_rows));
  }
  writer.close();
}

void ModelWriter::Impl::store_digests(const std::string& print) {
  Hdf5Writer writer = Hdf5Writer::open(output.temporary());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    writer.write_text(in(layout::kWeights, tensors[i].name), "sha256", tensors[i].sha256);
    writer.write_words(in(layout::kBlocks, tensors[i].name), progress[i].blocks);
  }
  writer.write_text("/", "fingerprint", print);
  writer.close();
}

ModelWriter::ModelWriter(const std::filesystem::path& out, ModelContents contents, bool overwrite)
    : impl_(std::make_unique<Impl>(out, std::move(contents), overwrite)) {}

ModelWriter::~ModelWriter() = default;
ModelWriter::ModelWriter(ModelWriter&&) noexcept = default;
ModelWriter& ModelWriter::operator=(ModelWriter&&) noexcept = default;

const std::vector<TensorInfo>& ModelWriter::tensors() const {
  return impl_->tensors;
}

std::uint64_t ModelWriter::weight_bytes() const {
  return summarize(impl_->tensors).weight_bytes;
}

void ModelWriter::write_rows(std::size_t index, std::int64_t first_row,
                             std::span<const std::byte> rows) {
  const TensorInfo& tensor = impl_->tensors.at(index);
  Progress& progress = impl_->progress[index];
  const std::size_t row_bytes = tensor.row_bytes();
  const auto count = static_cast<std::int64_t>(rows.size() / row_bytes);
  if (first_row != progress.next_row || rows.size() % row_bytes != 0 ||
      count > tensor.rows() - first_row) {
    throw Error(
        fmt::format("{}: tensor {}: rows from {} in {} bytes, wanted whole rows of {} "
                    "bytes from row {} to at most {}",
                    impl_->output.target().string(), tensor.name, first_row, rows.size(), row_bytes,
                    progress.next_row, tensor.rows()));
  }
  const std::uint64_t at = static_cast<std::uint64_t>(first_row) * row_bytes;
  if (const int error = impl_->write(progress.offset + at, rows); error != 0) {
    impl_->output.fail("tensor " + tensor.name, error, tensor.bytes() - at);
  }
  progress.sha256.update(rows);
  for (std::int64_t done = 0; done < count;) {
    const std::int64_t row = first_row + done;
    const std::int64_t block_end = (row / tensor.block_rows + 1) * tensor.block_rows;
    const std::int64_t take = std::min(count - done, block_end - row);
    progress.block.update(rows.subspan(static_cast<std::size_t>(done) * row_bytes,
                                       static_cast<std::size_t>(take) * row_bytes));
    done += take;
    if (row + take == block_end || row + take == tensor.rows()) {
      progress.blocks.push_back(progress.block.finish());
    }
  }
  progress.next_row += count;
}

std::string ModelWriter::finish(const std::function<void(const std::string&)>& accept) {
  for (std::size_t i = 0; i < impl_->tensors.size(); ++i) {
    TensorInfo& tensor = impl_->tensors[i];
    if (impl_->progress[i].next_row != tensor.rows()) {
      throw Error(fmt::format("{}: tensor {} has {} of {} rows, it cannot be finished",
                              impl_->output.target().string(), tensor.name,
                              impl_->progress[i].next_row, tensor.rows()));
    }
  }
  for (std::size_t i = 0; i < impl_->tensors.size(); ++i) {
    impl_->tensors[i].sha256 = impl_->progress[i].sha256.finish();
  }
  std::map<std::string, std::string> tokenizer;
  for (const auto& [name, content] : impl_->contents.tokenizer) {
    tokenizer[name] = sha256_hex(content);
  }
  std::string print = fingerprint(impl_->config_text, tokenizer, impl_->tensors);
  if (accept) {
    accept(print);
  }
  try {
    impl_->store_digests(print);
  } catch (const Error& error) {
    impl_->output.fail(error.what(), 0, 0);
  }
  impl_->output.keep();
  return print;
}

}  // namespace tutti
