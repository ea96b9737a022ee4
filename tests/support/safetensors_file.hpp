// Makes safetensors files for tests, sound ones by add() and text(), broken ones from parts.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/packed.hpp"

namespace tutti::test {

class SafetensorsFile {
 public:
  SafetensorsFile& add(const std::string& name, const std::string& dtype,
                       const std::vector<std::int64_t>& shape, const std::string& bytes) {
    header_ += fmt::format(R"({}"{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                           header_.empty() ? "" : ",", name, dtype, fmt::join(shape, ","),
                           data_.size(), data_.size() + bytes.size());
    data_ += bytes;
    return *this;
  }

  std::string text() const { return from_parts("{" + header_ + "}", data_); }

  static std::string from_parts(const std::string& header, const std::string& data) {
    return packed(static_cast<std::uint64_t>(header.size())) + header + data;
  }

 private:
  std::string header_;
  std::string data_;
};

}  // namespace tutti::test
