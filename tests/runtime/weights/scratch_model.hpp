// A folder of its own for each test, and small models to write, read and damage in it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "runtime/weights/model_file.hpp"
#include "runtime/weights/model_writer.hpp"

namespace tutti::test {

class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "tutti-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::filesystem::path operator/(const char* name) const { return path_ / name; }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

 private:
  std::filesystem::path path_;
};

using Bytes = std::vector<std::byte>;

// Bytes that look different everywhere.
inline Bytes noise(std::size_t size, std::uint64_t seed) {
  Bytes bytes(size);
  std::uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
  for (std::byte& byte : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<std::byte>(state >> 56);
  }
  return bytes;
}

inline ModelContents small_contents() {
  return {.name = "tiny",
          .source = "/models/tiny",
          .created_by = "tutti test",
          .config = {{"layers", 2}, {"architecture", "llama"}},
          .original_config = "{\"hidden_size\": 8}\n",
          .tokenizer = {{"tokenizer.json", "{\"a\": 1}"}, {"chat_template", std::string()}},
          .tensors = {{"embedding", DType::bf16, {33, 8}, "model.embed_tokens.weight"},
                      {"layers.0.attention.q", DType::f16, {8, 8}, "q.0"},
                      {"layers.0.norm", DType::f32, {8}, "n.0"},
                      {"rope", DType::i32, {4, 3}, ""},
                      {"layers.0.mlp.up", DType::bf16, {256, 32}, "up.0"}}};
}

// A tensor of several blocks of 4 MiB, with a short last one.
inline ModelContents blocks_contents() {
  ModelContents contents = small_contents();
  contents.tensors = {{"before", DType::f32, {100}, ""},
                      {"big", DType::bf16, {5000, 1024}, "big.weight"},
                      {"after", DType::f32, {1000}, ""}};
  return contents;
}

inline Bytes tensor_bytes(const TensorInfo& tensor, std::size_t index) {
  return noise(tensor.bytes(), index + 1);
}

inline void write_tensor(ModelWriter& writer, std::size_t index, const Bytes& bytes) {
  writer.write_rows(index, 0, bytes);
}

// Returns the fingerprint.
inline std::string write_model(const std::filesystem::path& path, const ModelContents& contents,
                               bool overwrite = false) {
  ModelWriter writer(path, contents, overwrite);
  for (std::size_t i = 0; i < contents.tensors.size(); ++i) {
    write_tensor(writer, i, tensor_bytes(writer.tensors()[i], i));
  }
  return writer.finish();
}

inline Bytes read(const ModelFile& file, const TensorInfo& tensor, Range rows,
                  const ReadOptions& options = {}) {
  Bytes all(static_cast<std::size_t>(rows.size()) * tensor.row_bytes());
  file.read_rows(tensor, rows, options, [&](std::int64_t first, std::span<const std::byte> piece) {
    const std::size_t at = static_cast<std::size_t>(first - rows.begin) * tensor.row_bytes();
    ASSERT_LE(at + piece.size(), all.size());
    std::memcpy(all.data() + at, piece.data(), piece.size());
  });
  return all;
}

inline Bytes read(const ModelFile& file, const std::string& name, const ReadOptions& options = {}) {
  const TensorInfo& tensor = *file.find(name);
  return read(file, tensor, {0, tensor.rows()}, options);
}

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void spill(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// Where the bytes lie in the file's image, which must hold them once.
inline std::size_t place_of(const std::string& image, std::string_view bytes) {
  const std::size_t at = image.find(bytes);
  EXPECT_NE(at, std::string::npos);
  EXPECT_EQ(image.find(bytes, at + 1), std::string::npos);
  return at;
}

inline std::string_view text(const Bytes& bytes, std::size_t from, std::size_t count) {
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())
      .substr(from, count);
}

// Flips one bit of the byte at `offset` of a tensor of write_model's.
inline void flip_tensor_byte(const std::filesystem::path& path, const std::string& name,
                             std::size_t offset) {
  Bytes bytes;
  {
    const ModelFile file(path);
    bytes = read(file, name);
  }
  std::string image = slurp(path);
  image[place_of(image, text(bytes, 0, std::min<std::size_t>(bytes.size(), 64))) + offset] ^= 0x10;
  spill(path, image);
}

}  // namespace tutti::test
