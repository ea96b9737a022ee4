// Model files made piece by piece, so that any one piece can be wrong.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "runtime/weights/digest.hpp"
#include "runtime/weights/fingerprint.hpp"
#include "runtime/weights/hdf5_writer.hpp"

namespace tutti::test {

// A good model of one tensor "w", bf16 [4, 3], unless told otherwise.
struct Forgery {
  std::string format = "tutti-model";
  std::uint64_t version = 1;
  std::string config = "{\"a\":1}";
  std::string dtype = "bf16";
  DType stored = DType::bf16;
  std::vector<std::int64_t> shape{4, 3};
  std::uint64_t block_rows = 4;
  std::size_t blocks = 1;
  std::string sha256 = std::string(64, 'a');
  std::string fingerprint = std::string(64, 'b');
  std::string missing{};  // a group, dataset or "OBJECT@ATTRIBUTE" that is left out

  void write(const std::filesystem::path& path) const {
    Hdf5Writer writer = Hdf5Writer::create(path, 8192);
    const auto text = [&](const std::string& object, const char* name, const std::string& value) {
      if (missing != object + "@" + name && missing != object) {
        writer.add_text(object, name, value);
      }
    };
    const auto entry = [&](const std::string& name, const std::string& bytes) {
      if (missing != name) {
        writer.add_bytes(name, bytes);
        text(name, "sha256", sha256_hex(bytes));
      }
    };
    text("/", "format", format);
    if (missing != "/@format_version") {
      writer.add_number("/", "format_version", version);
    }
    for (const char* name : {"created_by", "source", "name"}) {
      text("/", name, "forged");
    }
    text("/", "fingerprint", fingerprint);
    for (const char* group : {"config", "tokenizer", "weights", "blocks"}) {
      if (missing != group) {
        writer.add_group(group);
      }
    }
    if (missing != "config") {
      entry("config/canonical.json", config);
      entry("config/original", "");
    }
    if (missing != "weights") {
      writer.add_tensor("weights/w", stored, shape);
      text("weights/w", "dtype", dtype);
      text("weights/w", "sha256", sha256);
      text("weights/w", "source_name", "s");
    }
    if (missing != "blocks" && missing != "blocks/w") {
      writer.add_words("blocks/w", blocks);
      if (missing != "blocks/w@block_rows") {
        writer.add_number("blocks/w", "block_rows", block_rows);
      }
    }
    writer.close();
  }
};

}  // namespace tutti::test
