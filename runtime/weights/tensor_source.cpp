#include "runtime/weights/tensor_source.hpp"

#include <fmt/format.h>

#include <array>

#include "kernels/error.hpp"
#include "runtime/weights/gguf_source.hpp"
#include "runtime/weights/input.hpp"
#include "runtime/weights/safetensors_source.hpp"

namespace tutti {

std::int64_t SourceTensor::row_elements() const {
  std::int64_t n = 1;
  for (std::size_t i = 1; i < shape.size(); ++i) {
    n *= shape[i];
  }
  return n;
}

std::unique_ptr<TensorSource> open_source(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  try {
    if (!fs::exists(path)) {
      throw ModelFileError(fmt::format("{}: there is no such file or folder", path.string()));
    }
    if (fs::is_directory(path)) {
      return std::make_unique<SafetensorsSource>(path);
    }
  } catch (const fs::filesystem_error& error) {
    throw ModelFileError(fmt::format("{}: cannot be read: {}", path.string(), error.what()));
  }
  const InputFile file(path);
  std::array<char, 4> magic{};
  if (file.bytes() >= magic.size()) {
    file.read(0, std::as_writable_bytes(std::span(magic)));
  }
  if (std::string_view(magic.data(), magic.size()) == "GGUF" || path.extension() == ".gguf") {
    return std::make_unique<GgufSource>(path);
  }
  throw ModelFileError(fmt::format(
      "{}: is neither a GGUF file nor a folder; wanted a .gguf file or "
      "a Hugging Face folder{}",
      path.string(),
      path.extension() == ".safetensors" ? ": give the folder that holds this file" : ""));
}

}  // namespace tutti
