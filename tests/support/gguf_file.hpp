// Makes GGUF files for tests: sound ones by default, broken ones by the public knobs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/packed.hpp"

namespace tutti::test {

class GgufFile {
 public:
  enum ValueType : std::uint32_t {
    kU8,
    kI8,
    kU16,
    kI16,
    kU32,
    kI32,
    kF32,
    kBool,
    kString,
    kArray,
    kU64,
    kI64,
    kF64,
  };

  // Knobs: what the file claims where it should not tell the truth.
  std::uint32_t magic = 0x46554747;
  std::uint32_t version = 3;
  std::uint64_t alignment = 32;
  std::int64_t extra_tensors = 0;
  std::int64_t extra_keys = 0;

  static std::string text_value(const std::string& text) {
    return packed(static_cast<std::uint64_t>(text.size())) + text;
  }
  // `values`: the elements' bytes, one after the other.
  static std::string array_value(std::uint32_t type, std::uint64_t count,
                                 const std::string& values) {
    return packed(type) + packed(count) + values;
  }
  static std::string texts_value(const std::vector<std::string>& texts) {
    std::string values;
    for (const std::string& text : texts) {
      values += text_value(text);
    }
    return array_value(kString, texts.size(), values);
  }

  // `value`: its bytes without the type.
  GgufFile& key(const std::string& name, std::uint32_t type, const std::string& value) {
    keys_ += text_value(name) + packed(type) + value;
    ++key_count_;
    return *this;
  }
  GgufFile& text(const std::string& name, const std::string& value) {
    return key(name, kString, text_value(value));
  }
  GgufFile& u32(const std::string& name, std::uint32_t value) {
    return key(name, kU32, packed(value));
  }
  GgufFile& f32(const std::string& name, float value) { return key(name, kF32, packed(value)); }

  // `shape` row-major; it is stored in reverse.
  GgufFile& tensor(const std::string& name, std::uint32_t type,
                   const std::vector<std::uint64_t>& shape, const std::string& bytes) {
    data_.resize((data_.size() + alignment - 1) / alignment * alignment);
    tensor_info(name, type, shape, data_.size());
    data_ += bytes;
    return *this;
  }
  // Only the entry: `offset` is within the data.
  GgufFile& tensor_info(const std::string& name, std::uint32_t type,
                        std::vector<std::uint64_t> shape, std::uint64_t offset) {
    std::reverse(shape.begin(), shape.end());
    infos_ += text_value(name) + packed(static_cast<std::uint32_t>(shape.size())) +
              packed_all(shape) + packed(type) + packed(offset);
    ++tensor_count_;
    return *this;
  }

  std::string bytes() const {
    std::string file = packed(magic) + packed(version) + packed(tensor_count_ + extra_tensors) +
                       packed(key_count_ + extra_keys) + keys_ + infos_;
    file.resize((file.size() + alignment - 1) / alignment * alignment);
    return file + data_;
  }

 private:
  std::string keys_;
  std::string infos_;
  std::string data_;
  std::int64_t key_count_ = 0;
  std::int64_t tensor_count_ = 0;
};

}  // namespace tutti::test
