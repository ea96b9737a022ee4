// The weight matrices of models as one rank holds them, for the benchmarks of products.
#pragma once

#include <cstdint>

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

}  // namespace tutti::bench
