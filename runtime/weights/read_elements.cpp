#include "runtime/weights/read_elements.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "kernels/error.hpp"

namespace tutti {
namespace {

constexpr std::int64_t kPieceElements = 64 * 1024;  // a multiple of every block size

std::uint64_t to_unsigned(std::int64_t x) {
  return static_cast<std::uint64_t>(x);
}

}  // namespace

void check_rows(const Input& input, const SourceTensor& tensor, Range rows) {
  if (rows.begin < 0 || rows.begin > rows.end || rows.end > tensor.rows()) {
    throw ModelFileError(fmt::format("{}: tensor \"{}\" of shape [{}] has no rows {}..{}",
                                     input.name(), tensor.name, fmt::join(tensor.shape, ", "),
                                     rows.begin, rows.end));
  }
}

void read_plain(const TensorBytes& tensor, DType from, Range elements, DType to, std::byte* dst) {
  const std::uint64_t begin = tensor.offset + to_unsigned(elements.begin) * size_of(from);
  if (from == to) {
    return tensor.input.read(begin, {dst, to_unsigned(elements.size()) * size_of(to)});
  }
  std::vector<std::byte> piece(to_unsigned(std::min(elements.size(), kPieceElements)) *
                               size_of(from));
  for (std::int64_t done = 0; done < elements.size(); done += kPieceElements) {
    const std::uint64_t n = to_unsigned(std::min(elements.size() - done, kPieceElements));
    tensor.input.read(begin + to_unsigned(done) * size_of(from),
                      std::span(piece).first(n * size_of(from)));
    convert_elements(piece.data(), from, dst + to_unsigned(done) * size_of(to), to, n);
  }
}

void read_blocks(const TensorBytes& tensor, const BlockFormat& format, Range elements, DType to,
                 std::byte* dst) {
  if (elements.empty()) {
    return;
  }
  const std::int64_t per_block = format.block_elements;
  const Range blocks{elements.begin / per_block, (elements.end + per_block - 1) / per_block};
  const std::int64_t piece_blocks = std::min(blocks.size(), kPieceElements / per_block);
  std::vector<std::byte> packed(to_unsigned(piece_blocks) * format.block_bytes);
  std::vector<float> values(to_unsigned(piece_blocks * per_block));
  for (std::int64_t first = blocks.begin; first < blocks.end; first += piece_blocks) {
    const std::int64_t count = std::min(piece_blocks, blocks.end - first);
    tensor.input.read(tensor.offset + to_unsigned(first) * format.block_bytes,
                      std::span(packed).first(to_unsigned(count) * format.block_bytes));
    for (std::int64_t i = 0; i < count; ++i) {
      format.dequantize(packed.data() + i * format.block_bytes, values.data() + i * per_block);
    }
    const Range wanted{std::max(elements.begin, first * per_block),
                       std::min(elements.end, (first + count) * per_block)};
    convert_elements(
        reinterpret_cast<const std::byte*>(values.data() + wanted.begin - first * per_block),
        DType::f32, dst + to_unsigned(wanted.begin - elements.begin) * size_of(to), to,
        to_unsigned(wanted.size()));
  }
}

}  // namespace tutti
