#include "kernels/embedding.hpp"
#include "tests/bench/bench_buffers.hpp"

namespace tutti {
namespace {

void embedding_rows(benchmark::State& state) {
  const auto dtype = static_cast<DType>(state.range(0));
  const std::int64_t tokens = state.range(1);
  const std::int64_t hidden = state.range(2);
  constexpr std::int64_t kVocabulary = 32768;
  bench::Buffer table(dtype, {kVocabulary, hidden});
  bench::Buffer y(DType::f32, {tokens, hidden});
  std::vector<std::int32_t> ids;
  for (std::int64_t t = 0; t < tokens; ++t) {
    ids.push_back(static_cast<std::int32_t>(t * 7919 % kVocabulary));
  }
  Exec exec;
  exec.threads = static_cast<int>(state.range(3));
  for (auto _ : state) {
    embedding(exec, {.ids = testing::view_of(ids, {tokens}), .table = {table.view}, .y = y.view});
  }
  bench::report_bytes(state, double(tokens * hidden) * (4 + double(size_of(dtype))));
}
BENCHMARK(embedding_rows)
    ->ArgNames({"dtype", "tokens", "hidden", "threads"})
    ->ArgsProduct(
        {{std::int64_t(DType::f32), std::int64_t(DType::bf16)}, {1, 512}, {576, 4096}, {1, 2}})
    ->UseRealTime();

}  // namespace
}  // namespace tutti
