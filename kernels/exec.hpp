// Where and how an operation runs. Passed to every kernel, never looked up.
#pragma once

#include <cstddef>

#include "kernels/tensor_view.hpp"

namespace tutti {

class DeviceOps;

// Borrowed working memory at the Exec's place; an op may use all of it and leaves nothing there.
struct Scratch {
  std::byte* data = nullptr;
  std::size_t bytes = 0;
};

struct Exec {
  Place place = Place::host;
  int threads = 1;           // host: OpenMP threads of this rank
  DeviceOps* ops = nullptr;  // cuda: the operations as that device has them
  void* stream = nullptr;    // cuda: cudaStream_t
  Scratch scratch;           // host; a device's operations keep their own
};

}  // namespace tutti
