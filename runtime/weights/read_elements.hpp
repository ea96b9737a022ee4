// Elements of one tensor from a file, converted or dequantised on the way, in pieces that stay in
// the cache.
#pragma once

#include "kernels/dtype.hpp"
#include "kernels/range.hpp"
#include "runtime/weights/dequantize.hpp"
#include "runtime/weights/input.hpp"
#include "runtime/weights/tensor_source.hpp"

namespace tutti {

struct TensorBytes {
  const Input& input;
  std::uint64_t offset = 0;  // of element 0
};

// Errors: ModelFileError where the rows are not in [0, tensor.rows()).
void check_rows(const Input& input, const SourceTensor& tensor, Range rows);

// Elements [elements.begin, elements.end) of a tensor stored as `from`, dense, as `to` at dst.
void read_plain(const TensorBytes& tensor, DType from, Range elements, DType to, std::byte* dst);

// The same from blocks of a quantized format; the range need not fall on block borders.
void read_blocks(const TensorBytes& tensor, const BlockFormat& format, Range elements, DType to,
                 std::byte* dst);

}  // namespace tutti
