// Parallel layers on thread ranks, with small integers so that every sum is exact.
#include <gtest/gtest.h>

#include "runtime/comm/thread_group.hpp"
#include "runtime/layers/linear.hpp"
#include "runtime/layers/vocabulary.hpp"

namespace tutti {
namespace {

constexpr std::int64_t kTokens = 3;

float element(std::int64_t row, std::int64_t column) {
  return static_cast<float>((row * 7 + column * 5) % 9 - 4);
}

Tensor filled(Range rows, Range columns) {
  Tensor tensor(Place::host, DType::f32, {rows.size(), columns.size()});
  for (std::int64_t r = rows.begin; r < rows.end; ++r) {
    for (std::int64_t c = columns.begin; c < columns.end; ++c) {
      tensor.view().row<float>(r - rows.begin)[c - columns.begin] = element(r, c);
    }
  }
  return tensor;
}

std::vector<float> values(const TensorView& view) {
  std::vector<float> all;
  for (std::int64_t r = 0; r < view.rows(); ++r) {
    all.insert(all.end(), view.row<float>(r), view.row<float>(r) + view.row_elements());
  }
  return all;
}

// Splits n things over ranks unevenly: rank r gets about r + 1 parts.
Range part(std::int64_t n, int ranks, int rank) {
  const auto bound = [&](std::int64_t r) { return n * r * (r + 1) / (ranks * (ranks + 1)); };
  return {bound(rank), bound(rank + 1)};
}

class ParallelLayers : public ::testing::TestWithParam<int> {};

TEST_P(ParallelLayers, ColumnThenRowEqualsTheWholeProduct) {
  constexpr std::int64_t kIn = 12;
  constexpr std::int64_t kMiddle = 45;
  constexpr std::int64_t kOut = 10;
  const Tensor x = filled({0, kTokens}, {0, kIn});
  std::vector<float> expected(kTokens * kOut, 0.0f);
  for (std::int64_t t = 0; t < kTokens; ++t) {
    for (std::int64_t m = 0; m < kMiddle; ++m) {
      float middle = 0;
      for (std::int64_t i = 0; i < kIn; ++i) {
        middle += element(t, i) * element(m, i);
      }
      for (std::int64_t o = 0; o < kOut; ++o) {
        expected[static_cast<std::size_t>(t * kOut + o)] += middle * element(o, m);
      }
    }
  }
  run_ranks(GetParam(), [&](int rank, Communicator& group, ControlPlane&) {
    const Range own = part(kMiddle, GetParam(), rank);
    const ColumnParallelLinear up(filled(own, {0, kIn}));
    const RowParallelLinear down(filled({0, kOut}, own));
    const Tensor middle(Place::host, DType::f32, {kTokens, own.size()});
    const Tensor y(Place::host, DType::f32, {kTokens, kOut});
    const Exec exec;
    up.forward(exec, x.view(), middle.view());
    down.forward_summand(exec, middle.view(), y.view());
    group.all_reduce_sum(exec, y.view());
    EXPECT_EQ(values(y.view()), expected) << "rank " << rank;
  });
}

TEST_P(ParallelLayers, EmbeddingAndHeadCoverTheVocabulary) {
  constexpr std::int64_t kVocabulary = 47;
  constexpr std::int64_t kHidden = 8;
  std::vector<std::int32_t> ids{0, 46, 20};
  StepTensors step;
  step.ids = TensorView(ids.data(), DType::i32, Place::host, {kTokens});
  std::vector<std::int64_t> rows;
  for (int rank = 0; rank < GetParam(); ++rank) {
    rows.push_back(part(kVocabulary, GetParam(), rank).size());
  }
  run_ranks(GetParam(), [&](int rank, Communicator& group, ControlPlane&) {
    const Exec exec;
    const Range own = part(kVocabulary, GetParam(), rank);
    const Tensor table = filled(own, {0, kHidden});
    const Tensor hidden(Place::host, DType::f32, {kTokens, kHidden});
    VocabParallelEmbedding(table.view(), own.begin, group).forward(exec, step, hidden.view());
    for (std::int64_t t = 0; t < kTokens; ++t) {
      for (std::int64_t i = 0; i < kHidden; ++i) {
        ASSERT_EQ(hidden.view().row<float>(t)[i], element(ids[static_cast<std::size_t>(t)], i));
      }
    }
    const Tensor local(Place::host, DType::f32, {kTokens, own.size()});
    const Tensor logits(Place::host, DType::f32, {rank == 0 ? kTokens : 0, kVocabulary});
    VocabParallelHead(table.view(), rows, group)
        .forward(exec, hidden.view(), local.view(), logits.view());
    for (std::int64_t t = 0; t < logits.view().rows(); ++t) {
      for (std::int64_t v = 0; v < kVocabulary; ++v) {
        float expected = 0;
        for (std::int64_t i = 0; i < kHidden; ++i) {
          expected += element(ids[static_cast<std::size_t>(t)], i) * element(v, i);
        }
        ASSERT_EQ(logits.view().row<float>(t)[v], expected) << "token " << t << " row " << v;
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, ParallelLayers, ::testing::Values(1, 2, 3, 4, 5));

}  // namespace
}  // namespace tutti
