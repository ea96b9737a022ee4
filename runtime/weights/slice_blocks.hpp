// Slices of a model file as the blocks that readers take one after another.
#pragma once

#include "runtime/weights/weight_source.hpp"

namespace tutti {

// A model file and how it is read.
struct FileReading {
  const ModelFile& file;
  ReadOptions options;
  std::function<void(std::uint64_t)> on_bytes;  // may be empty

  void tell(std::size_t bytes) const {
    if (on_bytes) {
      on_bytes(bytes);
    }
  }
};

struct SliceBlock {
  const WeightSlice* slice;
  RowBlock block;
};

// Of all slices, in their order; they must outlive it. Errors: ModelFileError where a tensor is not
// there or not as a slice says, or where the destination cannot take the rows.
std::vector<SliceBlock> blocks_of(const FileReading& from, std::span<const WeightSlice> slices);

}  // namespace tutti
