#include "kernels/stream_read.hpp"

#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"

namespace tutti {

void stream_read(const Exec& exec, const StreamReadArgs& args) {
  constexpr const char* op = "stream_read";
  check_view(exec, op, "y", args.y, DType::i32, {1});
  check_that(args.x.place == exec.place && args.x.contiguous() && args.x.bytes() % 16 == 0, op,
             "x is {}, wanted dense, of whole 16 bytes and where y lies", describe(args.x));
  if (on_device(exec, op)) {
    return exec.ops->stream_read(exec, args);
  }
  const auto* words = static_cast<const std::uint32_t*>(args.x.data);
  const auto count = static_cast<std::int64_t>(args.x.bytes() / 4);
  std::uint32_t sum = 0;
  [[maybe_unused]] const int threads = threads_for(exec, count * 4);
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static) reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) {
    sum += words[i];
  }
  *static_cast<std::uint32_t*>(args.y.data) = sum;
}

}  // namespace tutti
