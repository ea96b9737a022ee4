#include "kernels/transpose.hpp"
#include "tests/bench/device_main.hpp"

namespace tutti {
namespace {

void run(bench::DeviceBench& bench) {
  for (const DType dtype : {DType::bf16, DType::f32}) {
    const testing::GpuArray x = bench.random(dtype, {11008, 4096}, 1);
    const testing::GpuArray y = testing::gpu_array(bench.device(), dtype, {4096, 11008});
    const double us =
        bench.microseconds(4, [&](int) { transpose(bench.exec(), {.x = x.view, .y = y.view}); });
    bench.print_bytes(fmt::format("transpose {} [11008, 4096]", name_of(dtype)),
                      2 * static_cast<double>(x.view.bytes()), us);
  }
}

}  // namespace
}  // namespace tutti

int main() {
  return tutti::bench::with_gpu(tutti::run);
}
