#include "runtime/weights/gguf_header.hpp"

#include <algorithm>
#include <set>
#include <string_view>

#include "runtime/weights/checked.hpp"
#include "runtime/weights/gguf_cursor.hpp"
#include "runtime/weights/gguf_metadata.hpp"

namespace tutti {
namespace {

constexpr std::uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr std::uint32_t kMaxDims = 4;
constexpr std::uint64_t kMinTensorBytes = 8 + 4 + 4 + 8;  // name length, dims, type, offset

std::uint32_t read_version(GgufCursor& cursor) {
  if (cursor.left() < 8 || cursor.read<std::uint32_t>() != kMagic) {
    cursor.fail("does not begin with \"GGUF\"; no GGUF file");
  }
  const auto version = cursor.read<std::uint32_t>();
  if (version != 0 && (version & 0xffffu) == 0) {
    cursor.fail("is a big-endian GGUF file; wanted little-endian: convert it first");
  }
  if (version != 2 && version != 3) {
    cursor.fail("is GGUF version {}; wanted 2 or 3", version);
  }
  return version;
}

std::uint64_t read_alignment(const GgufCursor& cursor, const nlohmann::json& metadata) {
  const auto found = metadata.find("general.alignment");
  if (found == metadata.end()) {
    return 32;
  }
  if (!found->is_number_unsigned() || *found == 0u || found->get<std::uint64_t>() % 8 != 0 ||
      found->get<std::uint64_t>() > UINT32_MAX) {
    cursor.fail("general.alignment is {}; wanted a multiple of 8", found->dump());
  }
  return found->get<std::uint64_t>();
}

std::vector<std::uint64_t> read_extents(GgufCursor& cursor, const std::string& name) {
  const auto dims = cursor.read<std::uint32_t>();
  if (dims > kMaxDims) {
    cursor.fail("tensor \"{}\" claims {} dimensions; at most {} can be", name, dims, kMaxDims);
  }
  std::vector<std::uint64_t> extents(dims);
  for (std::uint64_t& extent : extents) {
    extent = cursor.read<std::uint64_t>();
  }
  return extents;
}

// `offset` stays relative to the tensors' data.
GgufTensor read_tensor(GgufCursor& cursor) {
  GgufTensor tensor;
  tensor.name = cursor.read_string(fmt::format("the tensor name at offset {}", cursor.position()));
  const auto extents = read_extents(cursor, tensor.name);
  const auto type = cursor.read<std::uint32_t>();
  tensor.offset = cursor.read<std::uint64_t>();
  tensor.format = find_block_format(type);
  if (tensor.format == nullptr) {
    cursor.fail("tensor \"{}\" has the unknown type {}; wanted one of {}", tensor.name, type,
                kReadableBlockFormats);
  }
  const auto elements = checked_elements(extents);
  if (!elements) {
    cursor.fail("tensor \"{}\": dimensions [{}] have more elements than can be", tensor.name,
                fmt::join(extents, ", "));
  }
  const std::uint64_t width = extents.empty() ? 1 : extents[0];
  if (width % tensor.format->block_elements != 0) {
    cursor.fail("tensor \"{}\": rows of {} elements are no whole blocks of {} ({})", tensor.name,
                width, tensor.format->block_elements, tensor.format->name);
  }
  const auto bytes =
      checked_multiply(*elements / tensor.format->block_elements, tensor.format->block_bytes);
  if (!bytes) {
    cursor.fail("tensor \"{}\": dimensions [{}] have more bytes than can be", tensor.name,
                fmt::join(extents, ", "));
  }
  tensor.bytes = *bytes;
  tensor.shape.assign(extents.rbegin(), extents.rend());
  return tensor;
}

// Turns offsets into those within the file and checks that they are there.
void place_tensors(const GgufCursor& cursor, std::uint64_t alignment, std::uint64_t file_bytes,
                   std::vector<GgufTensor>& tensors) {
  const std::uint64_t data = (cursor.position() + alignment - 1) / alignment * alignment;
  for (GgufTensor& tensor : tensors) {
    if (tensor.offset % alignment != 0) {
      cursor.fail("tensor \"{}\" has offset {}; wanted a multiple of the alignment {}", tensor.name,
                  tensor.offset, alignment);
    }
    const auto begin = checked_add(data, tensor.offset);
    const auto end = begin ? checked_add(*begin, tensor.bytes) : std::nullopt;
    if (!end || *end > file_bytes) {
      cursor.fail(
          "tensor \"{}\" wants {} bytes at offset {} of the data, which begins at {}; the "
          "file has {} bytes and may be cut short",
          tensor.name, tensor.bytes, tensor.offset, data, file_bytes);
    }
    tensor.offset = *begin;
  }
}

void check_disjoint(const GgufCursor& cursor, const std::vector<GgufTensor>& tensors) {
  std::vector<const GgufTensor*> sorted;
  std::set<std::string_view> names;
  for (const GgufTensor& tensor : tensors) {
    if (!names.insert(tensor.name).second) {
      cursor.fail("tensor \"{}\" stands twice", tensor.name);
    }
    if (tensor.bytes > 0) {
      sorted.push_back(&tensor);
    }
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const GgufTensor* a, const GgufTensor* b) { return a->offset < b->offset; });
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    const GgufTensor& before = *sorted[i - 1];
    if (before.offset + before.bytes > sorted[i]->offset) {
      cursor.fail("tensor \"{}\" (bytes {}..{}) overlaps \"{}\" (from {})", before.name,
                  before.offset, before.offset + before.bytes, sorted[i]->name, sorted[i]->offset);
    }
  }
}

}  // namespace

GgufHeader parse_gguf_header(const Input& input) {
  GgufCursor cursor(input);
  GgufHeader header;
  header.version = read_version(cursor);
  const auto tensor_count = cursor.read<std::uint64_t>();
  const auto key_count = cursor.read<std::uint64_t>();
  if (tensor_count > cursor.left() / kMinTensorBytes) {
    cursor.fail("claims {} tensors, {} bytes are left in the file", tensor_count, cursor.left());
  }
  header.metadata = read_gguf_metadata(cursor, key_count);
  const std::uint64_t alignment = read_alignment(cursor, header.metadata);
  for (std::uint64_t i = 0; i < tensor_count; ++i) {
    header.tensors.push_back(read_tensor(cursor));
  }
  place_tensors(cursor, alignment, input.bytes(), header.tensors);
  check_disjoint(cursor, header.tensors);
  return header;
}

}  // namespace tutti
