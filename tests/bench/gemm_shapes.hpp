// The weight matrices of models as one rank holds them, for the benchmarks of products.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/device_ops.hpp"
#include "tests/bench/device_bench.hpp"

namespace tutti::bench {

struct WeightShape {
  const char* name;
  std::int64_t out;
  std::int64_t in;
};

inline constexpr WeightShape kProducts[] = {
    {"7B qkv", 12288, 4096},        {"7B o", 4096, 4096},           {"7B gate_up", 22016, 4096},
    {"7B down", 4096, 11008},       {"7B head", 32000, 4096},       {"70B/2 qkv", 5120, 8192},
    {"70B/2 o", 8192, 4096},        {"70B/2 gate_up", 28672, 8192}, {"70B/2 down", 8192, 14336},
    {"SmolLM2 gate_up", 3072, 576}, {"SmolLM2 down", 576, 1536}};

inline constexpr WeightShape kGated[] = {
    {"7B gate_up", 22016, 4096}, {"70B/2 gate_up", 28672, 8192}, {"SmolLM2 gate_up", 3072, 576}};

// Each shape at few tokens, and the library beside it; time(weights, shape, tokens, copies) in us.
template <typename Shapes, typename Time>
void print_few_tokens(DeviceBench& bench, const Shapes& shapes, const Time& time) {
  for (const WeightShape& shape : shapes) {
    const double bytes = 2.0 * double(shape.out) * double(shape.in);
    const int copies = DeviceBench::copies_of(static_cast<std::size_t>(bytes));
    const testing::GpuArray weights = bench.random(DType::bf16, {copies * shape.out, shape.in}, 1);
    for (const std::int64_t tokens : {1, 2, 4, 8, 16}) {
      const std::string name =
          fmt::format("{} [{}, {}] M {}", shape.name, shape.out, shape.in, tokens);
      bench.print_bytes(name, bytes, time(weights, shape, tokens, copies));
      bench.exec().ops->tune({.library_only = true});
      bench.print_bytes(name + " library", bytes, time(weights, shape, tokens, copies));
      bench.exec().ops->tune({});
    }
  }
}

}  // namespace tutti::bench
