#include "runtime/weights/gguf_metadata.hpp"

#include <string>

namespace tutti {
namespace {

using nlohmann::json;

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

constexpr int kMaxDepth = 8;                                  // of arrays in arrays
constexpr std::uint64_t kMaxValues = std::uint64_t{1} << 26;  // of all arrays: 1 GiB of JSON
constexpr std::uint64_t kMinKeyBytes = 8 + 4 + 1;             // length, type, the smallest value

class MetadataReader {
 public:
  explicit MetadataReader(GgufCursor& cursor) : cursor_(cursor) {}

  void read_pair(json& metadata) {
    const std::uint64_t at = cursor_.position();
    key_ = cursor_.read_string(fmt::format("the metadata key at offset {}", at));
    key_ = sound_text(std::move(key_), "is no UTF-8 as a key");
    if (metadata.contains(key_)) {
      cursor_.fail("metadata key \"{}\" stands twice", key_);
    }
    json value = read_value(cursor_.read<std::uint32_t>(), 0);
    metadata[key_] = std::move(value);
  }

 private:
  // Never a broken string in the JSON: it could not be written out again.
  std::string sound_text(std::string text, const char* complaint) const {
    const auto replace = json::error_handler_t::replace;
    try {
      (void)json(text).dump();
      return text;
    } catch (const json::exception&) {
      if (key_.rfind("tokenizer.", 0) == 0) {
        cursor_.fail("metadata \"{}\": \"{}\" {}", key_, json(text).dump(-1, ' ', true, replace),
                     complaint);
      }
      return json::parse(json(text).dump(-1, ' ', false, replace)).get<std::string>();
    }
  }

  json read_value(std::uint32_t type, int depth) {
    switch (type) {
      case kU8:
        return cursor_.read<std::uint8_t>();
      case kI8:
        return cursor_.read<std::int8_t>();
      case kU16:
        return cursor_.read<std::uint16_t>();
      case kI16:
        return cursor_.read<std::int16_t>();
      case kU32:
        return cursor_.read<std::uint32_t>();
      case kI32:
        return cursor_.read<std::int32_t>();
      case kF32:
        return cursor_.read<float>();
      case kBool:
        return cursor_.read<std::uint8_t>() != 0;
      case kString:
        return sound_text(cursor_.read_string(fmt::format("metadata \"{}\"", key_)),
                          "is no UTF-8 text");
      case kArray:
        return read_array(depth);
      case kU64:
        return cursor_.read<std::uint64_t>();
      case kI64:
        return cursor_.read<std::int64_t>();
      case kF64:
        return cursor_.read<double>();
      default:
        cursor_.fail("metadata \"{}\" has value type {}, known are 0 to 12", key_, type);
    }
  }

  static std::uint64_t min_bytes(std::uint32_t type) {
    switch (type) {
      case kU8:
      case kI8:
      case kBool:
        return 1;
      case kU16:
      case kI16:
        return 2;
      case kU32:
      case kI32:
      case kF32:
        return 4;
      case kArray:
        return 12;
      default:
        return 8;
    }
  }

  json read_array(int depth) {
    if (depth >= kMaxDepth) {
      cursor_.fail("metadata \"{}\": arrays are nested more than {} deep", key_, kMaxDepth);
    }
    const auto type = cursor_.read<std::uint32_t>();
    const auto count = cursor_.read<std::uint64_t>();
    if (count > cursor_.left() / min_bytes(type)) {
      cursor_.fail("metadata \"{}\" claims an array of {} values, {} bytes are left in the file",
                   key_, count, cursor_.left());
    }
    values_ += count;
    if (values_ > kMaxValues) {
      cursor_.fail("metadata \"{}\": more than {} values in arrays", key_, kMaxValues);
    }
    json::array_t values;
    values.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) {
      values.push_back(read_value(type, depth + 1));
    }
    return values;
  }

  GgufCursor& cursor_;
  std::string key_;
  std::uint64_t values_ = 0;
};

}  // namespace

json read_gguf_metadata(GgufCursor& cursor, std::uint64_t count) {
  if (count > cursor.left() / kMinKeyBytes) {
    cursor.fail("claims {} metadata keys, {} bytes are left in the file", count, cursor.left());
  }
  json metadata = json::object();
  MetadataReader reader(cursor);
  for (std::uint64_t i = 0; i < count; ++i) {
    reader.read_pair(metadata);
  }
  return metadata;
}

}  // namespace tutti
