#include "runtime/weights/gguf_source.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/error.hpp"
#include "runtime/weights/gguf_header.hpp"
#include "runtime/weights/read_elements.hpp"

namespace tutti {

using nlohmann::json;

namespace {

void refuse_part(const InputFile& file, const json& metadata) {
  const auto parts = metadata.find("split.count");
  if (parts != metadata.end() && parts->is_number() && *parts > 1) {
    throw ModelFileError(
        fmt::format("{}: is one of {} parts of a model; join them first (llama-gguf-split --merge)",
                    file.name(), parts->dump()));
  }
}

}  // namespace

GgufSource::GgufSource(const std::filesystem::path& path)
    : file_(path), config_(json::object()), default_name_(path.stem().string()) {
  GgufHeader header = parse_gguf_header(file_);
  refuse_part(file_, header.metadata);
  json tokenizer = json::object();
  for (auto& [key, value] : header.metadata.items()) {
    json& target = key.rfind("tokenizer.", 0) == 0 ? tokenizer : config_;
    target[key] = std::move(value);
  }
  if (const auto found = tokenizer.find("tokenizer.chat_template");
      found != tokenizer.end() && found->is_string()) {
    tokenizer_["chat_template"] = found->get<std::string>();
  }
  if (!tokenizer.empty()) {
    tokenizer_["gguf.json"] = tokenizer.dump();
  }
  if (const auto found = config_.find("general.name");
      found != config_.end() && found->is_string() && !found->get<std::string>().empty()) {
    default_name_ = found->get<std::string>();
  }
  for (GgufTensor& tensor : header.tensors) {
    locations_[tensor.name] = {tensor.format, tensor.offset};
    tensors_.push_back({.name = std::move(tensor.name),
                        .encoding = std::string(tensor.format->name),
                        .dtype = tensor.format->plain,
                        .shape = std::move(tensor.shape),
                        .bytes = tensor.bytes,
                        .readable = tensor.format->readable()});
  }
  std::sort(tensors_.begin(), tensors_.end(),
            [](const SourceTensor& a, const SourceTensor& b) { return a.name < b.name; });
}

void GgufSource::read_rows(const SourceTensor& tensor, Range rows, DType dtype,
                           std::byte* dst) const {
  const auto found = locations_.find(tensor.name);
  if (found == locations_.end()) {
    throw ModelFileError(fmt::format("{}: has no tensor \"{}\"", file_.name(), tensor.name));
  }
  check_rows(file_, tensor, rows);
  const auto& [format, offset] = found->second;
  if (!format->readable()) {
    throw ModelFileError(fmt::format("{}: tensor \"{}\" is {}, wanted one of {}", file_.name(),
                                     tensor.name, format->name, kReadableBlockFormats));
  }
  const std::int64_t width = tensor.row_elements();
  const Range elements{rows.begin * width, rows.end * width};
  if (format->plain) {
    read_plain({file_, offset}, *format->plain, elements, dtype, dst);
  } else {
    read_blocks({file_, offset}, *format, elements, dtype, dst);
  }
}

}  // namespace tutti
