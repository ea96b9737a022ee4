#include "runtime/weights/weight_source.hpp"

#include <algorithm>
#include <utility>

#include "runtime/tensor/tensor.hpp"
#include "runtime/weights/parallel.hpp"
#include "runtime/weights/place_rows.hpp"
#include "runtime/weights/staged_load.hpp"

namespace tutti {
namespace {

using Layout = WeightSlice::Layout;

// Where the whole of a block is wanted as it is stored: it needs no buffer.
std::span<std::byte> direct(const WeightSlice& slice, const RowBlock& block) {
  if (slice.layout != Layout::rows || block.read != block.wanted) {
    return {};
  }
  const TensorView rows = slice.to.row_slice(
      {block.wanted.begin - slice.rows.begin, block.wanted.end - slice.rows.begin});
  return {static_cast<std::byte*>(rows.data), rows.bytes()};
}

void load_on_host(const FileReading& from, std::span<const WeightSlice> slices) {
  const std::vector<SliceBlock> blocks = blocks_of(from, slices);
  std::vector<std::vector<std::byte>> buffers(
      static_cast<std::size_t>(std::max(from.options.threads, 1)));
  run_parallel(blocks.size(), from.options.threads, [&](std::size_t worker, std::size_t i) {
    const auto& [slice, block] = blocks[i];
    std::span<std::byte> memory = direct(*slice, block);
    const bool placed = !memory.empty();
    if (!placed) {
      std::vector<std::byte>& buffer = buffers[worker];
      buffer.resize(std::max(buffer.size(), from.file.bytes(block)));
      memory = buffer;
    }
    const auto rows = from.file.read_block(block, from.options.check, memory);
    if (!placed) {
      place_rows(*slice, from.file.tensors()[block.tensor].dtype, block.wanted.begin, rows);
    }
    from.tell(rows.size());
  });
}

// Vectors are small: they are widened on the host and copied.
void load_vectors(Device& device, const FileReading& from, std::span<const WeightSlice> vectors) {
  std::vector<WeightSlice> here(vectors.begin(), vectors.end());
  std::vector<Tensor> widened;
  for (WeightSlice& slice : here) {
    widened.push_back(Tensor(Place::host, DType::f32, {slice.rows.size()}, slice.name));
    slice.to = widened.back().view();
  }
  load_on_host(from, here);
  for (std::size_t i = 0; i < here.size(); ++i) {
    device.copy_in(vectors[i].to.data, here[i].to.data, here[i].to.bytes());
  }
  device.synchronize();
}

}  // namespace

ModelFileSource::ModelFileSource(const ModelFile& file, ReadOptions options,
                                 std::function<void(std::uint64_t)> on_bytes)
    : file_(file), options_(options), on_bytes_(std::move(on_bytes)) {}

bool ModelFileSource::has(const std::string& name) const {
  return file_.find(name) != nullptr;
}

DType ModelFileSource::dtype(const std::string& name, std::span<const std::int64_t> shape) const {
  return file_.require(name, shape).dtype;
}

void ModelFileSource::load(Device& device, std::span<const WeightSlice> slices) const {
  const FileReading from{.file = file_, .options = options_, .on_bytes = on_bytes_};
  if (device.place() == Place::host) {
    return load_on_host(from, slices);
  }
  std::vector<WeightSlice> vectors;
  std::vector<WeightSlice> matrices;
  for (const WeightSlice& slice : slices) {
    (slice.layout == Layout::vector ? vectors : matrices).push_back(slice);
  }
  load_vectors(device, from, vectors);
  load_staged(device, from, matrices);
}

}  // namespace tutti
