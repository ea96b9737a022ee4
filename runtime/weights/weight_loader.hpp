// What a model wants loaded: gathered first, so that nothing waits at the border of two tensors,
// then read at once.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/weights/weight_source.hpp"

namespace tutti {

// Borrows source and device.
class WeightLoader {
 public:
  WeightLoader(const WeightSource& source, Device& device) : source_(source), device_(device) {}

  const WeightSource& source() const { return source_; }
  Device& device() const { return device_; }

  // The destination's memory must stay where it is until finish().
  void add(WeightSlice slice) { slices_.push_back(std::move(slice)); }
  // Reads everything that was added. Errors: ModelFileError, DeviceError, CapacityError.
  void finish() { source_.load(device_, std::exchange(slices_, {})); }

 private:
  const WeightSource& source_;
  Device& device_;
  std::vector<WeightSlice> slices_;
};

}  // namespace tutti
