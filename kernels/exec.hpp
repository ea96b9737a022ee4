// Where and how an operation runs. Passed to every kernel, never looked up.
#pragma once

#include <cstddef>

#include "kernels/tensor_view.hpp"

namespace tutti {

// Borrowed working memory at the Exec's place; an op may use all of it and leaves nothing there.
struct Scratch {
  std::byte* data = nullptr;
  std::size_t bytes = 0;
};

struct Exec {
  Place place = Place::host;
  int threads = 1;         // host: OpenMP threads of this rank
  void* stream = nullptr;  // cuda: cudaStream_t
  void* blas = nullptr;    // cuda: cublasLtHandle_t
  Scratch scratch;
};

}  // namespace tutti
