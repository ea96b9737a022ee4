#include "runtime/weights/safetensors_header.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "kernels/error.hpp"
#include "runtime/weights/checked.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr int kMaxDepth = 3;                            // tensors > tensor > shape

struct DTypeSize {
  std::string_view name;
  std::uint64_t bits;
  std::optional<DType> dtype;
};

constexpr std::array kDTypes = {
    DTypeSize{"F32", 32, DType::f32},
    DTypeSize{"F16", 16, DType::f16},
    DTypeSize{"BF16", 16, DType::bf16},
    DTypeSize{"BOOL", 8, {}},
    DTypeSize{"U8", 8, {}},
    DTypeSize{"I8", 8, {}},
    DTypeSize{"F8_E5M2", 8, {}},
    DTypeSize{"F8_E4M3", 8, {}},
    DTypeSize{"F8_E8M0", 8, {}},
    DTypeSize{"F4", 4, {}},
    DTypeSize{"F6_E2M3", 6, {}},
    DTypeSize{"F6_E3M2", 6, {}},
    DTypeSize{"I16", 16, {}},
    DTypeSize{"U16", 16, {}},
    DTypeSize{"I32", 32, {}},
    DTypeSize{"U32", 32, {}},
    DTypeSize{"I64", 64, {}},
    DTypeSize{"U64", 64, {}},
    DTypeSize{"F64", 64, {}},
    DTypeSize{"C64", 64, {}},
};

const DTypeSize* find_dtype(std::string_view name) {
  const auto* found = std::find_if(kDTypes.begin(), kDTypes.end(),
                                   [&](const DTypeSize& size) { return size.name == name; });
  return found == kDTypes.end() ? nullptr : found;
}

template <typename... Args>
[[noreturn]] void fail(const Input& input, fmt::format_string<Args...> format, Args&&... args) {
  throw ModelFileError(
      fmt::format("{}: {}", input.name(), fmt::format(format, std::forward<Args>(args)...)));
}

std::string read_header_text(const Input& input) {
  if (input.bytes() < kLengthBytes) {
    fail(input, "has {} bytes, too few for a safetensors file", input.bytes());
  }
  std::array<std::byte, kLengthBytes> packed{};
  input.read(0, packed);
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i) {
    length = (length << 8u) | std::to_integer<std::uint64_t>(packed[static_cast<std::size_t>(i)]);
  }
  const std::uint64_t limit = std::min(kMaxHeaderBytes, input.bytes() - kLengthBytes);
  if (length > limit) {
    fail(
        input,
        "header length {} is more than the {} bytes that follow it or that the format allows ({}); "
        "no safetensors file, or cut short",
        length, input.bytes() - kLengthBytes, kMaxHeaderBytes);
  }
  std::string text(length, '\0');
  input.read(kLengthBytes, std::as_writable_bytes(std::span(text)));
  if (text.empty() || text.front() != '{') {
    fail(input, "header does not start with '{{'; no safetensors file");
  }
  return text;
}

// Refuses deep nesting and names that stand twice, which a JSON object would silently merge.
json parse_header_json(const Input& input, const std::string& text) {
  std::set<std::string> names;
  const auto check = [&](int depth, json::parse_event_t event, json& value) {
    using Event = json::parse_event_t;
    if ((event == Event::object_start || event == Event::array_start) && depth >= kMaxDepth) {
      fail(input, "header is nested deeper than the format allows");
    }
    if (event == Event::key && depth == 1 && !names.insert(value.get<std::string>()).second) {
      fail(input, "tensor \"{}\" stands twice in the header", value.get<std::string>());
    }
    return true;
  };
  try {
    json header = json::parse(text, check);
    if (!header.is_object()) {
      fail(input, "header is not a JSON object");
    }
    return header;
  } catch (const json::exception& error) {
    fail(input, "header is not valid JSON: {}", error.what());
  }
}

// A field that must be an array of unsigned integers.
std::vector<std::uint64_t> unsigned_array(const Input& input, const std::string& name,
                                          const json& entry, const char* field) {
  const auto found = entry.find(field);
  if (found == entry.end() || !found->is_array()) {
    fail(input, "tensor \"{}\": wanted \"{}\" to be an array", name, field);
  }
  std::vector<std::uint64_t> values;
  for (const json& value : *found) {
    if (!value.is_number_unsigned()) {
      fail(input, "tensor \"{}\": wanted \"{}\" to hold unsigned integers, found {}", name, field,
           value.type_name());
    }
    values.push_back(value.get<std::uint64_t>());
  }
  return values;
}

void check_size(const Input& input, const SafetensorsEntry& entry, const DTypeSize& size,
                std::uint64_t elements) {
  const auto bits = checked_multiply(elements, size.bits);
  if (!bits || *bits % 8 != 0 || *bits / 8 != entry.bytes) {
    fail(input, "tensor \"{}\": {} of shape [{}] wants {} bytes, its offsets span {}", entry.name,
         entry.dtype_name, fmt::join(entry.shape, ", "),
         bits ? fmt::format("{}", *bits / 8) : "more than 2^60", entry.bytes);
  }
}

// `data` is where the tensors' bytes begin in the file.
SafetensorsEntry parse_entry(const Input& input, std::uint64_t data, const std::string& name,
                             const json& value) {
  if (!value.is_object() || !value.contains("dtype") || !value["dtype"].is_string()) {
    fail(input, "tensor \"{}\": wanted an object with \"dtype\", \"shape\" and \"data_offsets\"",
         name);
  }
  SafetensorsEntry entry;
  entry.name = name;
  entry.dtype_name = value["dtype"].get<std::string>();
  const auto shape = unsigned_array(input, name, value, "shape");
  const auto offsets = unsigned_array(input, name, value, "data_offsets");
  const std::uint64_t room = input.bytes() - data;
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > room) {
    fail(input,
         "tensor \"{}\": data_offsets [{}] are not a range within the {} bytes of data; "
         "the file may be cut short",
         name, fmt::join(offsets, ", "), room);
  }
  entry.offset = data + offsets[0];
  entry.bytes = offsets[1] - offsets[0];
  const auto elements = checked_elements(shape);
  if (!elements) {
    fail(input, "tensor \"{}\": shape [{}] has more elements than can be", name,
         fmt::join(shape, ", "));
  }
  entry.shape.assign(shape.begin(), shape.end());
  // A type that is newer than this program cannot be sized; it is named if it is ever wanted.
  if (const DTypeSize* size = find_dtype(entry.dtype_name)) {
    entry.dtype = size->dtype;
    check_size(input, entry, *size, *elements);
  }
  return entry;
}

void check_covers(const Input& input, std::uint64_t data,
                  const std::vector<SafetensorsEntry>& sorted) {
  std::uint64_t end = data;
  std::string_view before = "the header";
  for (const SafetensorsEntry& entry : sorted) {
    if (entry.offset != end) {
      fail(input, "tensor \"{}\" begins at byte {}, wanted {}: it {} {}", entry.name, entry.offset,
           end, entry.offset < end ? "overlaps" : "leaves a gap after", before);
    }
    end = entry.offset + entry.bytes;
    before = entry.name;
  }
  if (end != input.bytes()) {
    fail(input, "the tensors end at byte {}, the file at {}: wanted no bytes behind them", end,
         input.bytes());
  }
}

}  // namespace

std::vector<SafetensorsEntry> parse_safetensors_header(const Input& input) {
  const std::string text = read_header_text(input);
  const json header = parse_header_json(input, text);
  const std::uint64_t data = kLengthBytes + text.size();
  std::vector<SafetensorsEntry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") {
      entries.push_back(parse_entry(input, data, name, value));
    }
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return a.offset != b.offset ? a.offset < b.offset : a.bytes < b.bytes;
  });
  check_covers(input, data, entries);
  return entries;
}

}  // namespace tutti
