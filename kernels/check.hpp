// What every operation checks before it touches memory: place, dtype and shape of its arguments.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "kernels/error.hpp"
#include "kernels/exec.hpp"

namespace tutti {

// An extent that may be anything.
inline constexpr std::int64_t kAnyExtent = -1;

// Throws ConfigError "op: name is bf16 [3, 4], wanted f32 [3, 5]" unless dtype and shape agree, or
// "… lies on cuda, wanted host" unless the view lies at the Exec's place.
void check_view(const Exec& exec, std::string_view op, std::string_view name,
                const TensorView& view, DType dtype, std::initializer_list<std::int64_t> shape);

// The same for a weight matrix: f32, f16 or bf16.
void check_weight(const Exec& exec, std::string_view op, const TensorView& matrix, std::int64_t out,
                  std::int64_t in);

// Throws ConfigError "op: message" unless the condition holds.
template <typename... Args>
void check_that(bool condition, std::string_view op, fmt::format_string<Args...> message,
                Args&&... args) {
  if (!condition) {
    throw ConfigError(fmt::format("{}: {}", op, fmt::format(message, std::forward<Args>(args)...)));
  }
}

// The same for activations, which are f32 on the host and f32, f16 or bf16 on a device.
void check_activation(const Exec& exec, std::string_view op, std::string_view name,
                      const TensorView& view, std::initializer_list<std::int64_t> shape);

// Whether the operation is to run on a device, by exec.ops. DeviceError where the Exec names a
// device without its operations.
bool on_device(const Exec& exec, std::string_view op);

// exec.threads, but 1 where the work (bytes touched, or operations) would drown in the start of
// threads.
int threads_for(const Exec& exec, std::int64_t work);

}  // namespace tutti
