#include "kernels/check.hpp"

#include <algorithm>

namespace tutti {
namespace {

// Work below which one thread is faster than waking a team (some microseconds).
constexpr std::int64_t kWorkPerThread = 32768;

bool has_shape(const TensorView& view, std::initializer_list<std::int64_t> shape) {
  if (view.dims != static_cast<int>(shape.size())) {
    return false;
  }
  std::size_t i = 0;
  for (std::int64_t extent : shape) {
    if (extent != kAnyExtent && view.shape[i] != extent) {
      return false;
    }
    ++i;
  }
  return true;
}

std::string shape_text(std::initializer_list<std::int64_t> shape) {
  std::string text;
  for (std::int64_t extent : shape) {
    text += text.empty() ? "" : ", ";
    text += extent == kAnyExtent ? "*" : std::to_string(extent);
  }
  return text;
}

void check_place(const Exec& exec, std::string_view op, std::string_view name,
                 const TensorView& view) {
  if (view.place != exec.place) {
    const auto place_name = [](Place place) { return place == Place::host ? "host" : "cuda"; };
    throw ConfigError(fmt::format("{}: {} lies on {}, wanted {}", op, name, place_name(view.place),
                                  place_name(exec.place)));
  }
}

}  // namespace

void check_view(const Exec& exec, std::string_view op, std::string_view name,
                const TensorView& view, DType dtype, std::initializer_list<std::int64_t> shape) {
  if (view.dtype != dtype || !has_shape(view, shape)) {
    throw ConfigError(fmt::format("{}: {} is {}, wanted {} [{}]", op, name, describe(view),
                                  name_of(dtype), shape_text(shape)));
  }
  check_place(exec, op, name, view);
}

void check_weight(const Exec& exec, std::string_view op, const TensorView& matrix, std::int64_t out,
                  std::int64_t in) {
  if (matrix.dtype == DType::i32 || !has_shape(matrix, {out, in})) {
    throw ConfigError(fmt::format("{}: the weight is {}, wanted f32, f16 or bf16 [{}]", op,
                                  describe(matrix), shape_text({out, in})));
  }
  check_place(exec, op, "the weight", matrix);
}

void check_activation(const Exec& exec, std::string_view op, std::string_view name,
                      const TensorView& view, std::initializer_list<std::int64_t> shape) {
  const bool fits =
      view.dtype == DType::f32 || (exec.place != Place::host && view.dtype != DType::i32);
  check_view(exec, op, name, view, fits ? view.dtype : DType::f32, shape);
}

bool on_device(const Exec& exec, std::string_view op) {
  if (exec.place == Place::host) {
    return false;
  }
  if (exec.ops == nullptr) {
    throw DeviceError(
        fmt::format("{}: wanted on a device, but the Exec brings no device's operations", op));
  }
  return true;
}

int threads_for(const Exec& exec, std::int64_t work) {
  const std::int64_t useful = std::max<std::int64_t>(1, work / kWorkPerThread);
  return static_cast<int>(std::min<std::int64_t>(std::max(1, exec.threads), useful));
}

}  // namespace tutti
