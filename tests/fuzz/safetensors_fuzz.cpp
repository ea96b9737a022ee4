// Any bytes as a safetensors file: its header is parsed or refused with a ModelFileError.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "kernels/error.hpp"
#include "runtime/weights/safetensors_header.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const tutti::InputBytes input("fuzz.safetensors", std::as_bytes(std::span(data, size)));
  try {
    for (const auto& entry : tutti::parse_safetensors_header(input)) {
      if (entry.offset > size || entry.bytes > size - entry.offset) {
        std::abort();  // believed what it should have checked
      }
    }
  } catch (const tutti::ModelFileError&) {
  }
  return 0;
}
