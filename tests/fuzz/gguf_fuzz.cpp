// Any bytes as a GGUF file: parsed or refused with a ModelFileError; what was accepted can be
// written out as JSON and its first and last blocks read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "kernels/error.hpp"
#include "runtime/weights/gguf_header.hpp"
#include "runtime/weights/read_elements.hpp"

namespace {

void read_ends(const tutti::Input& input, const tutti::GgufTensor& tensor) {
  if (tensor.format->dequantize == nullptr || tensor.bytes == 0) {
    return;
  }
  const std::int64_t per_block = tensor.format->block_elements;
  const auto blocks = static_cast<std::int64_t>(tensor.bytes / tensor.format->block_bytes);
  std::vector<std::byte> values(static_cast<std::size_t>(per_block) * 2);
  for (const std::int64_t block : {std::int64_t{0}, blocks - 1}) {
    tutti::read_blocks({input, tensor.offset}, *tensor.format,
                       {block * per_block, (block + 1) * per_block}, tutti::DType::bf16,
                       values.data());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const tutti::InputBytes input("fuzz.gguf", std::as_bytes(std::span(data, size)));
  try {
    const tutti::GgufHeader header = tutti::parse_gguf_header(input);
    (void)header.metadata.dump();
    for (const tutti::GgufTensor& tensor : header.tensors) {
      if (tensor.offset > size || tensor.bytes > size - tensor.offset) {
        if (tensor.bytes > 0) {
          std::abort();  // believed what it should have checked
        }
      }
      read_ends(input, tensor);
    }
  } catch (const tutti::ModelFileError&) {
  }
  return 0;
}
