// The collectives among GPUs on each path: exact sums, replays, gathers, the joined norm.
// mpirun -n N with a GPU for each rank; skipped, with the reason, where they lack.
#include <gmock/gmock.h>

#include <cmath>
#include <numeric>
#include <random>

#include "runtime/comm/gpu_group.hpp"
#include "tests/support/gpu_fixture.hpp"
#include "tests/support/mpi_gpu.hpp"
#include "tests/support/mpi_main.hpp"

namespace tutti {
namespace {

using testing::floats_of;
using testing::GpuArray;
using ::testing::HasSubstr;
using testing::RankGpu;
using ::testing::StartsWith;
using Values = std::vector<float>;

struct Path {
  const char* label;
  bool symmetric, fused;
  int nodes = 1;  // that the ranks are told to be on
};
const Path kPaths[] = {
    {"plain", false, false}, {"symmetric", true, false}, {"own kernels", true, true}};
const Path kOverNodes = {"over two nodes", true, true, 2};

class NcclTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { gpu() = RankGpu::open(test_session()); }
  static void TearDownTestSuite() { gpu() = RankGpu(); }
  void SetUp() override {
    if (!gpu().why_not.empty()) {
      GTEST_SKIP() << gpu().why_not;
    }
  }

  static RankGpu& gpu() {
    static RankGpu instance;
    return instance;
  }
  static Device& device() { return *gpu().device; }
  static int ranks() { return test_session().size(); }
  static int rank() { return test_session().rank(); }
  static NcclOptions options(const Path& path) {
    return {.host = test_session().host(),
            .symmetric = path.symmetric,
            .fused = path.fused,
            .even_alone = true};
  }
  static std::unique_ptr<Communicator> make(const NcclOptions& wanted) {
    return make_nccl_communicator(*gpu().library, device(), *gpu().control, wanted);
  }
  static std::unique_ptr<Communicator> make(const Path& path) {
    if (path.nodes == 1) {
      return make(options(path));
    }
    return make_gpu_group(*gpu().library, device(), test_session().world(), *gpu().control,
                          testing::spread_over(path.nodes, ranks()), options(path));
  }
  // Those that so many ranks have.
  static std::vector<Path> paths() {
    std::vector<Path> all(std::begin(kPaths), std::end(kPaths));
    if (ranks() >= 4 && ranks() % 2 == 0) {
      all.push_back(kOverNodes);
    }
    return all;
  }

  // x of the values in memory of one kind; the owner keeps it.
  static GpuArray array(Communicator& group, bool shared, DType dtype, std::int64_t rows,
                        std::int64_t columns) {
    GpuArray made;
    made.view = TensorView(nullptr, dtype, Place::cuda, {rows, columns});
    made.memory = shared ? group.allocate_shared(device(), made.view.bytes(), "a test's array")
                         : device().allocate(made.view.bytes(), "a test's array");
    made.view.data = made.memory.data();
    return made;
  }
  static void fill(const TensorView& view, const Values& values) {
    if (view.dtype == DType::f32) {
      device().copy_in(view.data, values.data(), view.bytes());
      device().synchronize();
      return;
    }
    std::vector<std::uint16_t> bits;
    for (const float value : values) {
      bits.push_back(view.dtype == DType::bf16 ? to_bf16(value).bits : to_f16(value).bits);
    }
    device().copy_in(view.data, bits.data(), view.bytes());
    device().synchronize();
  }
  // The first that differ, for a log that must tell all.
  static void expect_equal(const Values& found, const Values& wanted, const std::string& what) {
    ASSERT_EQ(found.size(), wanted.size()) << what;
    int told = 0;
    for (std::size_t i = 0; i < found.size() && told < 3; ++i) {
      if (!(found[i] == wanted[i])) {
        ADD_FAILURE() << what << ": element " << i << " of " << found.size() << ": wanted "
                      << wanted[i] << ", found " << found[i];
        ++told;
      }
    }
  }
};

std::string words(const Path& path, DType dtype, std::int64_t rows, std::int64_t columns) {
  return fmt::format("{}, {} [{}, {}]", path.label, name_of(dtype), rows, columns);
}

TEST_F(NcclTest, SaysWhichPathIsLive) {
  bool joined = false;  // within one node
  for (const Path& path : paths()) {
    const auto group = make(path);
    EXPECT_EQ(group->size(), ranks());
    EXPECT_EQ(group->rank(), rank());
    joined = joined || group->shares_memory();
    if (rank() == 0) {
      fmt::print("{}: {}; NCCL {}\n", path.label, group->name(), nccl_version(*gpu().library));
    }
    EXPECT_THAT(std::string(group->name()), StartsWith(path.symmetric ? "nccl " : "nccl plain"));
    if (path.nodes > 1) {
      EXPECT_EQ(group->name().starts_with("nccl hierarchical"), joined) << group->name();
    }
    group->check();
    group->close();
  }
  NcclOptions apart = options(kPaths[2]);
  apart.one_node = false;
  const auto group = make(apart);
  EXPECT_EQ(group->name(), "nccl plain (the group spans nodes)");
  group->close();
}

TEST_F(NcclTest, AGroupOfOneNeedsNoNccl) {
  if (ranks() > 1) {
    GTEST_SKIP() << "one rank only";
  }
  NcclOptions alone = options(kPaths[0]);
  alone.even_alone = false;
  EXPECT_EQ(make(alone)->name(), "one rank");
}

// At most 7 * ranks * (ranks + 1) / 2 <= 252 for eight ranks: exact in bf16, in any order.
TEST_F(NcclTest, SumsSmallIntegersExactlyAtEverySizeAndType) {
  for (const Path& path : paths()) {
    const auto group = make(path);
    const std::int64_t most = 8 << 20;
    const GpuArray arrays[] = {array(*group, false, DType::f32, 1, most),
                               array(*group, true, DType::f32, 1, most)};
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      for (const std::int64_t count :
           {std::int64_t{1}, std::int64_t{2}, std::int64_t{3}, std::int64_t{4}, std::int64_t{257},
            std::int64_t{4096}, std::int64_t{8192}, std::int64_t{8196}, std::int64_t{16384},
            std::int64_t{32768}, std::int64_t{65537}, std::int64_t{1 << 20}, most}) {
        Values mine(static_cast<std::size_t>(count));
        Values wanted(mine.size());
        for (std::size_t i = 0; i < mine.size(); ++i) {
          const int base = static_cast<int>(i % 8);
          mine[i] = static_cast<float>(base * (rank() + 1));
          wanted[i] = static_cast<float>(base * ranks() * (ranks() + 1) / 2);
        }
        if (count == most && dtype != DType::f32) {
          continue;
        }
        for (const GpuArray& memory : arrays) {
          const TensorView x(memory.view.data, dtype, Place::cuda, {1, count});
          fill(x, mine);
          group->all_reduce_sum(device().exec(), x);
          expect_equal(floats_of(device(), x), wanted, words(path, dtype, 1, count));
        }
      }
    }
    group->close();
  }
}

// f32 fractions: the own kernels and the host twins add in rank order, so that bits are equal.
TEST_F(NcclTest, OwnKernelsSumInRankOrder) {
  const auto group = make(options(kPaths[2]));
  if (group->name() != "nccl symmetric, own kernels") {
    group->close();
    GTEST_SKIP() << group->name();
  }
  constexpr std::int64_t kCount = 5000;
  const auto of_rank = [](int r) {
    std::mt19937 random(static_cast<unsigned>(r) + 1);
    Values values(kCount);
    for (float& value : values) {
      value = std::uniform_real_distribution<float>(-1e3f, 1e3f)(random);
    }
    return values;
  };
  Values wanted = of_rank(0);
  for (int r = 1; r < ranks(); ++r) {
    const Values theirs = of_rank(r);
    std::transform(wanted.begin(), wanted.end(), theirs.begin(), wanted.begin(), std::plus<>());
  }
  const GpuArray x = array(*group, false, DType::f32, 1, kCount);
  fill(x.view, of_rank(rank()));
  group->all_reduce_sum(device().exec(), x.view);
  expect_equal(floats_of(device(), x.view), wanted, "rank order");
  group->close();
}

struct NormCase {
  std::int64_t tokens, dim;
  DType dtype;
  bool in_place;
};

// Residual: sums of small integers, exact. y: the mean of squares has a relative error of at most
// dim roundings of f32 however it is added up, its root half of that; scaling and weighting add
// four more roundings, and the store one of y's type.
TEST_F(NcclTest, JoinsSumResidualAndNormOnEachPath) {
  std::vector<NormCase> cases;
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    for (const std::int64_t dim : {4, 64, 576, 2048, 4096, 4098, 5120, 8192, 16384}) {
      for (const std::int64_t tokens : {1, 3, 16, 17}) {
        cases.push_back({tokens, dim, dtype, tokens % 2 == 1});
      }
    }
  }
  for (const Path& path : paths()) {
    const auto group = make(path);
    const std::int64_t most = 17 * 16384 + 8;
    const GpuArray memory = array(*group, true, DType::f32, 1, most);
    for (const NormCase& c : cases) {
      const auto elements = static_cast<std::size_t>(c.tokens * c.dim);
      Values x(elements), residual(elements), weight(static_cast<std::size_t>(c.dim));
      Values sum(elements);
      for (std::size_t i = 0; i < elements; ++i) {
        const int base = static_cast<int>((i * 7 + i / 64) % 8) - 3;
        x[i] = static_cast<float>(base * (rank() + 1));
        residual[i] = static_cast<float>(static_cast<int>(i % 5) - 2) * 0.25f;
        sum[i] = residual[i] + static_cast<float>(base * ranks() * (ranks() + 1) / 2);
      }
      for (std::size_t i = 0; i < weight.size(); ++i) {
        weight[i] = 0.5f + static_cast<float>(i % 9) / 8;
      }
      const TensorView xs(memory.memory.data(), c.dtype, Place::cuda, {c.tokens, c.dim});
      const GpuArray y = array(*group, false, c.dtype, c.tokens, c.dim);
      const GpuArray r = array(*group, false, DType::f32, 1, c.tokens * c.dim + 8);
      const GpuArray w = array(*group, false, DType::f32, 1, c.dim);
      const TensorView rs(r.memory.data(), DType::f32, Place::cuda, {c.tokens, c.dim});
      fill(xs, x);
      fill(y.view, Values(elements, std::nanf("")));
      fill(rs, residual);
      fill(w.view, weight);
      const TensorView out = c.in_place ? xs : y.view;
      group->all_reduce_add_rmsnorm(
          device().exec(), {.x = xs,
                            .residual = rs,
                            .weight = TensorView(w.view.data, DType::f32, Place::cuda, {c.dim}),
                            .eps = 1e-5f,
                            .y = out});
      const std::string what = words(path, c.dtype, c.tokens, c.dim);
      expect_equal(floats_of(device(), rs), sum, what + " residual");
      const Values found = floats_of(device(), out);
      const double tolerance =
          static_cast<double>(c.dim + 8) * 0x1p-24 + testing::unit_roundoff(c.dtype);
      int told = 0;
      for (std::int64_t t = 0; t < c.tokens; ++t) {
        const float* row = sum.data() + t * c.dim;
        double squares = 0;
        for (std::int64_t i = 0; i < c.dim; ++i) {
          squares += static_cast<double>(row[i]) * row[i];
        }
        const double scale = 1 / std::sqrt(squares / static_cast<double>(c.dim) + 1e-5);
        for (std::int64_t i = 0; i < c.dim && told < 3; ++i) {
          const double wanted = row[i] * scale * weight[static_cast<std::size_t>(i)];
          const double got = found[static_cast<std::size_t>(t * c.dim + i)];
          if (!(std::abs(got - wanted) <= tolerance * std::abs(wanted))) {
            ADD_FAILURE() << what << " y[" << t << ", " << i << "]: wanted " << wanted << ", found "
                          << got << ", tolerance " << tolerance;
            ++told;
          }
        }
      }
    }
    group->close();
  }
}

TEST_F(NcclTest, RefusesSumsThatBeginBetweenMultiplesOf16Bytes) {
  const auto group = make(options(kPaths[0]));
  const GpuArray memory = array(*group, false, DType::bf16, 1, 64);
  const TensorView x(memory.memory.data() + 2, DType::bf16, Place::cuda, {1, 32});
  EXPECT_THROW(group->all_reduce_sum(device().exec(), x), CommError);
  group->close();
}

TEST_F(NcclTest, AGraphIsReplayedAHundredTimesWithOtherInputs) {
  for (const Path& path : paths()) {
    const auto group = make(path);
    constexpr std::int64_t kTokens = 4;
    constexpr std::int64_t kDim = 1024;
    constexpr std::int64_t kLarge = 600000;
    const GpuArray x = array(*group, true, DType::bf16, kTokens, kDim);
    const GpuArray y = array(*group, false, DType::bf16, kTokens, kDim);
    const GpuArray residual = array(*group, false, DType::f32, kTokens, kDim);
    const GpuArray weight = array(*group, false, DType::f32, 1, kDim);
    const GpuArray large = array(*group, true, DType::f32, 1, kLarge);
    const GpuArray small = array(*group, false, DType::f32, 1, kDim);
    fill(residual.view, Values(kTokens * kDim));
    fill(weight.view, Values(kDim, 1.0f));
    const AddRmsnormArgs norm = {
        .x = x.view,
        .residual = residual.view,
        .weight = TensorView(weight.view.data, DType::f32, Place::cuda, {kDim}),
        .y = y.view};
    const auto work = [&] {
      const Exec exec = device().exec();
      group->all_reduce_add_rmsnorm(exec, norm);
      group->all_reduce_sum(exec, small.view);
      group->all_reduce_sum(exec, large.view);
    };
    Values wanted_residual(kTokens * kDim);
    const auto step = [&](int k, const auto& run) {
      const auto value = [&](std::size_t i, int r) {
        return static_cast<float>((static_cast<int>(i % 5) + k % 7) * (r + 1));
      };
      const auto inputs = [&](std::size_t count) {
        Values values(count);
        for (std::size_t i = 0; i < count; ++i) {
          values[i] = value(i, rank());
        }
        return values;
      };
      const float all = static_cast<float>(ranks() * (ranks() + 1)) / 2;
      fill(x.view, inputs(kTokens * kDim));
      fill(small.view, inputs(kDim));
      fill(large.view, inputs(kLarge));
      run();
      Values wanted(kLarge);
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        wanted[i] = value(i, 0) * all;
      }
      for (std::size_t i = 0; i < wanted_residual.size(); ++i) {
        wanted_residual[i] += wanted[i];
      }
      const std::string what = fmt::format("{}, step {}", path.label, k);
      expect_equal(floats_of(device(), residual.view), wanted_residual, what + " residual");
      expect_equal(floats_of(device(), small.view), {wanted.begin(), wanted.begin() + kDim}, what);
      if (k % 10 == 0) {
        expect_equal(floats_of(device(), large.view), wanted, what + " large");
      }
    };
    step(0, work);  // as it is run before it is recorded
    {
      const auto graph = device().record(work);
      for (int k = 1; k <= 100; ++k) {
        step(k, [&] { graph->replay(); });
      }
    }
    group->close();
  }
}

TEST_F(NcclTest, GathersUnevenColumnsOnEveryRank) {
  for (const Path& path : {kPaths[0], kPaths[2]}) {
    NcclOptions small = options(path);
    small.gather_bytes = std::size_t{4} << 20;  // 64 rows of 128000 go in pieces
    const auto group = make(small);
    for (const std::int64_t width : {0, 3, 1000, 32000, 128256}) {
      for (const bool even : {true, false}) {
        std::vector<std::int64_t> columns(static_cast<std::size_t>(ranks()), width / ranks());
        if (!even) {  // rank 0 has less, the last more; at width 3 rank 0 may have none
          columns.front() -= std::min<std::int64_t>(columns.front(), 5);
          columns.back() += 7;
        }
        const std::int64_t total = std::accumulate(columns.begin(), columns.end(), std::int64_t{0});
        const std::int64_t mine = columns[static_cast<std::size_t>(rank())];
        for (const std::int64_t rows : {1, 2, 5, 64}) {
          const auto value = [](int r, std::int64_t row, std::int64_t c) {
            return static_cast<float>(1000000 * r + 10000 * row + c % 10000);
          };
          // Both are slices of wider matrices.
          const GpuArray wide = array(*group, false, DType::f32, rows, mine + 3);
          const GpuArray result = array(*group, false, DType::f32, rows, total + 2);
          Values local(static_cast<std::size_t>(rows * (mine + 3)), -2.0f);
          for (std::int64_t row = 0; row < rows; ++row) {
            for (std::int64_t c = 0; c < mine; ++c) {
              local[static_cast<std::size_t>(row * (mine + 3) + 1 + c)] = value(rank(), row, c);
            }
          }
          fill(wide.view, local);
          fill(result.view, Values(static_cast<std::size_t>(rows * (total + 2)), -1.0f));
          group->all_gather_columns(device().exec(), wide.view.column_slice({1, 1 + mine}), columns,
                                    result.view.column_slice({0, total}));
          Values wanted;
          for (std::int64_t row = 0; row < rows; ++row) {
            for (int r = 0; r < ranks(); ++r) {
              for (std::int64_t c = 0; c < columns[static_cast<std::size_t>(r)]; ++c) {
                wanted.push_back(value(r, row, c));
              }
            }
            wanted.insert(wanted.end(), {-1.0f, -1.0f});
          }
          expect_equal(
              floats_of(device(), result.view), wanted,
              fmt::format("{}, {} rows of [{}]", path.label, rows, fmt::join(columns, ", ")));
        }
      }
    }
    EXPECT_THROW(group->gather_columns(device().exec(), {}, {}, {}, 0), CommError);
    group->close();
  }
}

TEST_F(NcclTest, WrongArgumentsSayWantedAndFound) {
  const auto group = make(options(kPaths[0]));
  float x = 0;
  try {
    group->all_reduce_sum(device().exec(), {&x, DType::f32, Place::host, {1, 1}});
    ADD_FAILURE() << "no error";
  } catch (const CommError& error) {
    EXPECT_THAT(error.what(), HasSubstr("nccl: all_reduce_sum #1"));
    EXPECT_THAT(error.what(), HasSubstr("on a device"));
  }
  group->close();
}

}  // namespace
}  // namespace tutti
