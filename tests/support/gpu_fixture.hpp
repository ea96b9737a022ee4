// A GPU for tests and benchmarks, arrays on it, and the reason to skip where there is none.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "kernels/error.hpp"
#include "runtime/device/cuda_library.hpp"

namespace tutti {

// In the names of tests.
inline void PrintTo(DType dtype, std::ostream* out) {
  *out << name_of(dtype);
}

}  // namespace tutti

namespace tutti::testing {

// The first visible GPU, or null with the reason.
struct Gpu {
  std::unique_ptr<Device> device;
  std::string why_not;

  static Gpu open() {
    Gpu gpu;
    try {
      gpu.device = CudaLibrary::open().make_device(0);
    } catch (const Error& error) {
      gpu.why_not = error.what();
    }
    return gpu;
  }
};

// A dense array on the device.
struct GpuArray {
  DeviceMemory memory;
  TensorView view;
};

inline GpuArray gpu_array(Device& device, DType dtype, std::initializer_list<std::int64_t> shape) {
  GpuArray array;
  array.view = TensorView(nullptr, dtype, Place::cuda, shape);
  array.memory = device.allocate(array.view.bytes(), "a test's array");
  array.view.data = array.memory.data();
  return array;
}

// Host bytes of any type, which must be as many as the array has.
inline GpuArray to_gpu(Device& device, DType dtype, std::initializer_list<std::int64_t> shape,
                       const void* host) {
  GpuArray array = gpu_array(device, dtype, shape);
  device.copy_in(array.view.data, host, array.view.bytes());
  device.synchronize();
  return array;
}

inline GpuArray to_gpu(Device& device, std::initializer_list<std::int64_t> shape,
                       const std::vector<std::int32_t>& values) {
  return to_gpu(device, DType::i32, shape, values.data());
}

// Floats, rounded to dtype.
inline GpuArray to_gpu(Device& device, DType dtype, std::initializer_list<std::int64_t> shape,
                       const std::vector<float>& values) {
  if (dtype == DType::f32) {
    return to_gpu(device, dtype, shape, static_cast<const void*>(values.data()));
  }
  std::vector<std::uint16_t> bits;
  for (const float value : values) {
    bits.push_back(dtype == DType::bf16 ? to_bf16(value).bits : to_f16(value).bits);
  }
  return to_gpu(device, dtype, shape, static_cast<const void*>(bits.data()));
}

// What the dtype keeps of the values.
inline std::vector<float> rounded(DType dtype, std::vector<float> values) {
  for (float& value : values) {
    value = dtype == DType::bf16  ? to_float(to_bf16(value))
            : dtype == DType::f16 ? to_float(to_f16(value))
                                  : value;
  }
  return values;
}

inline std::vector<std::byte> bytes_of(Device& device, const TensorView& view) {
  std::vector<std::byte> bytes(view.bytes());
  device.copy_out(bytes.data(), view.data, bytes.size());
  device.synchronize();
  return bytes;
}

inline std::vector<std::int32_t> ints_of(Device& device, const TensorView& view) {
  const std::vector<std::byte> bytes = bytes_of(device, view);
  std::vector<std::int32_t> values(bytes.size() / 4);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// Widened; the view is dense.
inline std::vector<float> floats_of(Device& device, const TensorView& view) {
  const std::vector<std::byte> bytes = bytes_of(device, view);
  std::vector<float> values(static_cast<std::size_t>(view.elements()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (view.dtype == DType::f32) {
      std::memcpy(&values[i], &bytes[4 * i], 4);
    } else {
      std::uint16_t bits = 0;
      std::memcpy(&bits, &bytes[2 * i], 2);
      values[i] = view.dtype == DType::bf16 ? to_float(bf16{bits}) : to_float(f16{bits});
    }
  }
  return values;
}

// Half the distance between neighbouring numbers just above 1: the most one rounding costs,
// relatively.
inline double unit_roundoff(DType dtype) {
  return dtype == DType::bf16 ? 0x1p-8 : dtype == DType::f16 ? 0x1p-11 : 0x1p-24;
}

class GpuTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { gpu() = Gpu::open(); }
  static void TearDownTestSuite() { gpu() = Gpu(); }
  void SetUp() override {
    if (!gpu().device) {
      GTEST_SKIP() << gpu().why_not;
    }
  }
  static Device& device() { return *gpu().device; }
  static Exec exec() { return gpu().device->exec(); }

 private:
  static Gpu& gpu() {
    static Gpu instance;
    return instance;
  }
};

}  // namespace tutti::testing
