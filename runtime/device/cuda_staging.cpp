#include "runtime/device/cuda_staging.hpp"

#include <cuda_runtime_api.h>
#include <sys/mman.h>

#include "kernels/cuda_context.cuh"

namespace tutti {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kLarge = 4 * kHugePage;

constexpr std::size_t whole_pages(std::size_t bytes) {
  return (bytes + kHugePage - 1) / kHugePage * kHugePage;
}

void free_registered(void* data, std::size_t bytes) noexcept {
  cudaHostUnregister(data);
  ::munmap(data, whole_pages(bytes));
}

// Huge pages where the system has them, else small ones; null where nothing can be mapped. Begins
// at a huge page, or its ends would be small ones.
void* map_huge_pages(std::size_t bytes) {
  const std::size_t wanted = whole_pages(bytes);
  void* const mapped = ::mmap(nullptr, wanted + kHugePage, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) {
    return nullptr;
  }
  auto* const begin = static_cast<std::byte*>(mapped);
  const std::size_t before = whole_pages(reinterpret_cast<std::uintptr_t>(begin)) -
                             reinterpret_cast<std::uintptr_t>(begin);
  if (before > 0) {
    ::munmap(begin, before);
  }
  ::munmap(begin + before + wanted, kHugePage - before);
  ::madvise(begin + before, wanted, MADV_HUGEPAGE);
  return begin + before;
}

}  // namespace

DeviceMemory allocate_pinned(std::size_t bytes) {
  if (bytes >= kLarge) {
    if (void* const memory = map_huge_pages(bytes); memory != nullptr) {
      if (cudaHostRegister(memory, bytes, cudaHostRegisterDefault) == cudaSuccess) {
        return {memory, bytes, free_registered};
      }
      cudaGetLastError();  // the other way may do, or says why not
      ::munmap(memory, whole_pages(bytes));
    }
  }
  void* memory = nullptr;
  TUTTI_CUDA(cudaHostAlloc(&memory, bytes, cudaHostAllocDefault));
  return {memory, bytes, [](void* data, std::size_t) noexcept { cudaFreeHost(data); }};
}

}  // namespace tutti
