// Attention on a GPU against the host: decode, prompts, chunks behind a context, and mixtures.
#include "kernels/attention.hpp"
#include "tests/support/attention_step.hpp"

namespace tutti {
namespace {

using testing::AttentionShape;
using testing::AttentionStep;
using testing::AttentionTokens;
using testing::ExactValues;

struct HeadMap {
  int kv_heads;
  std::vector<std::int32_t> kv_of_q;
};

HeadMap even_map(int kv_heads, int group) {
  HeadMap map{kv_heads, {}};
  for (int h = 0; h < kv_heads * group; ++h) {
    map.kv_of_q.push_back(h / group);
  }
  return map;
}

const std::vector<HeadMap>& head_maps() {
  static const std::vector<HeadMap> maps = {even_map(2, 1), even_map(2, 3), even_map(1, 4),
                                            even_map(1, 7), even_map(2, 8), {2, {0, 0, 0, 1, 1}}};
  return maps;
}

constexpr int kHeadDims[] = {64, 80, 96, 128, 256, 20};
constexpr int kContexts[] = {0, 1, 15, 16, 17, 100, 1000, 4097};

// So many sequences of one token, their contexts in turn from kContexts.
std::vector<AttentionTokens> decode_batch(int count, int first) {
  std::vector<AttentionTokens> sequences;
  for (int s = 0; s < count; ++s) {
    sequences.push_back({1, kContexts[(first + s) % 8]});
  }
  return sequences;
}

class AttentionCudaTest : public testing::GpuTest, public ::testing::WithParamInterface<DType> {
 protected:
  static AttentionShape shape_of(int head_dim, const HeadMap& map, int page_size = 16) {
    return {GetParam(), head_dim, map.kv_heads, map.kv_of_q, page_size};
  }

  static std::vector<float> run(AttentionStep& step) {
    attention(exec(), step.gpu_args());
    return testing::floats_of(device(), step.gpu_y.view);
  }

  // The device agrees with the host, and says the same once more.
  static void agrees(AttentionStep& step) {
    step.upload(device());
    const std::vector<float> got = run(step);
    step.compute_on_host();
    EXPECT_EQ(step.differences(got), "") << step.describe();
    const std::vector<std::byte> bytes = testing::bytes_of(device(), step.gpu_y.view);
    step.poison(device());
    run(step);
    EXPECT_TRUE(bytes == testing::bytes_of(device(), step.gpu_y.view))
        << "other bits at repetition: " << step.describe();
  }
};

TEST_P(AttentionCudaTest, DecodesAsTheHostForEveryHeadDimAndMap) {
  int number = 0;
  for (const int head_dim : kHeadDims) {
    for (const HeadMap& map : head_maps()) {
      ++number;
      AttentionStep step(shape_of(head_dim, map), decode_batch(3, number), 0,
                         static_cast<std::uint32_t>(number));
      agrees(step);
    }
  }
}

TEST_P(AttentionCudaTest, DecodesOneSequenceOfAnyContext) {
  for (const int context : kContexts) {
    for (const int head_dim : {64, 128}) {
      AttentionStep step(shape_of(head_dim, even_map(4, 1)), {{1, context}});
      agrees(step);
    }
  }
}

TEST_P(AttentionCudaTest, DecodesBatches) {
  for (const auto& [batch, head_dim] : {std::pair{17, 128}, std::pair{17, 20}, std::pair{64, 64}}) {
    AttentionStep step(shape_of(head_dim, head_maps().back()), decode_batch(batch, 5));
    agrees(step);
  }
}

// Other page sizes, more query heads than one pass takes, heads that are not neighbours, rows that
// are in no sequence.
TEST_P(AttentionCudaTest, DecodesAndPrefillsUnusualSteps) {
  for (const int page_size : {1, 4, 32, 128}) {
    AttentionStep step(shape_of(64, head_maps()[1], page_size), {{1, 100}, {1, 33}, {1, 300}});
    agrees(step);
    AttentionStep prompts(shape_of(64, head_maps()[1], page_size), {{40, 100}, {70, 70}, {1, 9}});
    agrees(prompts);
  }
  AttentionStep many(shape_of(64, even_map(1, 37)), {{1, 100}, {1, 700}});
  agrees(many);
  AttentionStep many_prompts(shape_of(64, even_map(1, 37)), {{9, 100}, {30, 30}});
  agrees(many_prompts);
  AttentionStep apart(shape_of(128, {2, {1, 0, 1}}), {{1, 100}, {1, 7}});
  agrees(apart);
  AttentionStep prompts_apart(shape_of(128, {2, {1, 0, 1}}), {{20, 100}, {90, 90}});
  agrees(prompts_apart);
  AttentionStep tail(shape_of(128, head_maps()[5]), {{1, 100}, {1, 0}, {1, 7}}, 5);
  agrees(tail);
  AttentionStep prompt_tail(shape_of(128, head_maps()[5]), {{33, 50}}, 3);
  agrees(prompt_tail);
}

TEST_P(AttentionCudaTest, PrefillsAsTheHostForEveryHeadDimAndMap) {
  int number = 0;
  for (const int head_dim : kHeadDims) {
    for (const HeadMap& map : head_maps()) {
      ++number;
      AttentionStep step(
          shape_of(head_dim, map),
          {{5 + number % 7, 5 + number % 7}, {130, 130}, {2, 64 + number}, {65, 193}}, 0,
          static_cast<std::uint32_t>(number));
      agrees(step);
    }
  }
}

TEST_P(AttentionCudaTest, PrefillsEveryLengthInOneStep) {
  std::vector<AttentionTokens> sequences;
  for (int length = 1; length <= 200; ++length) {
    sequences.push_back({length, length});
  }
  AttentionStep step(shape_of(64, even_map(1, 3)), sequences);
  agrees(step);
}

TEST_P(AttentionCudaTest, PrefillsOneSequenceChunkAfterChunk) {
  for (const int head_dim : {128, 256}) {
    for (const auto& [count, context] :
         {std::pair{1, 1}, std::pair{64, 64}, std::pair{200, 277}, std::pair{128, 1024},
          std::pair{3, 1501}, std::pair{600, 600}}) {
      AttentionStep step(shape_of(head_dim, head_maps().back()), {{count, context}});
      step.most_queries = 700;  // a bound, no more
      agrees(step);
    }
  }
}

TEST_P(AttentionCudaTest, MixesPromptsAndDecoding) {
  for (const int head_dim : {64, 96, 128, 20}) {
    for (const HeadMap& map : {head_maps()[0], head_maps()[5]}) {
      AttentionStep step(
          shape_of(head_dim, map),
          {{1, 100}, {33, 93}, {1, 0}, {1, 1}, {1, 1000}, {0, 40}, {70, 500}, {2, 2}}, 2);
      agrees(step);
    }
  }
}

// Windows, soft caps and slopes, each alone and together, for decoding, prompts and mixtures; keys
// and values before all windows are NaN.
TEST_P(AttentionCudaTest, TakesWindowsSoftCapsAndSlopes) {
  const HeadMap map = head_maps()[5];
  const std::vector<float> slopes = {0.5f, 0.125f, 0.0f, 0.03125f, 1.0f};
  struct Extras {
    int window;
    float softcap;
    std::vector<float> slopes;
  };
  for (const int head_dim : {64, 96, 128, 256, 20}) {
    for (const Extras& extras : std::vector<Extras>{{1, 0, {}},
                                                    {37, 0, {}},
                                                    {64, 0, {}},
                                                    {500, 0, {}},
                                                    {0, 5, {}},
                                                    {0, 0, slopes},
                                                    {100, 20, slopes}}) {
      for (const std::vector<AttentionTokens>& sequences :
           {std::vector<AttentionTokens>{{1, 1000}, {1, 63}, {1, 0}, {1, 4097}},
            std::vector<AttentionTokens>{{150, 1000}, {64, 64}, {1, 700}, {200, 201}}}) {
        AttentionShape shape = shape_of(head_dim, map);
        shape.window = extras.window;
        shape.softcap = extras.softcap;
        shape.slopes = extras.slopes;
        AttentionStep step(shape, sequences);
        for (std::size_t s = 0; s < sequences.size() && extras.window > 0; ++s) {
          const int first = sequences[s].context - sequences[s].count + 1 - extras.window;
          step.forget(static_cast<int>(s), first);
        }
        agrees(step);
      }
    }
  }
}

// Equal weights: sums are exact, so that a position too many or too few cannot hide. The mean is
// rounded by the division, by the product with 1 / total, and to the dtype.
TEST_P(AttentionCudaTest, AveragesExactlyWhereScoresAreEqual) {
  for (const std::vector<AttentionTokens>& sequences :
       {std::vector<AttentionTokens>{{1, 1000}, {1, 63}, {1, 64}, {1, 65}, {1, 4097}},
        std::vector<AttentionTokens>{{150, 1000}, {64, 64}, {200, 201}}}) {
    for (const int head_dim : {64, 96, 128, 256}) {
      AttentionStep step(shape_of(head_dim, {1, {0}}), sequences);
      for (float& x : step.q) {
        x = x == x ? 0.0f : x;
      }
      for (float& x : step.v) {
        x = x == x ? std::floor(x * 8.0f) : x;
      }
      step.upload(device());
      const std::vector<float> got = run(step);
      step.compute_on_host();
      const double u = testing::rounding_error(GetParam()) + 0x1p-22;
      for (std::size_t i = 0; i < got.size(); ++i) {
        ASSERT_NEAR(got[i], step.wanted[i], 1.01 * u * std::fabs(step.wanted[i]))
            << step.describe() << ", token " << i / static_cast<std::size_t>(head_dim);
      }
    }
  }
}

// A graph keeps its grid; contexts and pages change between its replays.
TEST_P(AttentionCudaTest, ReplaysWithOtherContexts) {
  for (const int head_dim : {64, 128}) {
    AttentionStep longest(shape_of(head_dim, even_map(2, 4)), {{1, 2000}, {1, 1500}, {1, 900}});
    longest.upload(device());
    attention(exec(), longest.gpu_args());
    device().synchronize();
    const AttentionArgs args = longest.gpu_args();
    const auto graph = device().record([&] { attention(exec(), args); });
    for (const std::vector<std::int32_t>& contexts : std::vector<std::vector<std::int32_t>>{
             {1, 64, 65}, {2000, 0, 17}, {300, 1500, 128}, {0, 0, 0}, {129, 1024, 900}}) {
      AttentionStep step = AttentionStep(longest.shape, {{1, 2000}, {1, 1500}, {1, 900}});
      for (std::size_t s = 0; s < contexts.size(); ++s) {
        step.context[s] = contexts[s];
        step.sequences[s].context = contexts[s];
      }
      device().copy_in(longest.gpu_context.view.data, contexts.data(), 4 * contexts.size());
      graph->replay();
      const std::vector<float> got = testing::floats_of(device(), longest.gpu_y.view);
      step.compute_on_host();
      EXPECT_EQ(step.differences(got), "") << step.describe();
      attention(exec(), args);
      EXPECT_TRUE(got == testing::floats_of(device(), longest.gpu_y.view))
          << "a replay's bits are not the call's: " << step.describe();
    }
  }
}

TEST_P(AttentionCudaTest, RowsDoNotDependOnTheContentsOfOthers) {
  for (const std::vector<AttentionTokens>& sequences :
       {std::vector<AttentionTokens>{{1, 700}, {1, 900}}, {{50, 700}, {90, 900}}}) {
    AttentionStep step(shape_of(128, head_maps()[5]), sequences);
    step.upload(device());
    const std::vector<float> before = run(step);
    ExactValues other(99);
    for (int position = 0; position < step.context[1]; ++position) {
      step.fill_position(1, position, other);
    }
    const auto row = static_cast<std::size_t>(step.query_begin[1]);
    for (std::size_t i = row * static_cast<std::size_t>(step.q_stride()); i < step.q.size(); ++i) {
      step.q[i] = other.next();
    }
    step.upload(device());
    const std::vector<float> after = run(step);
    const auto split = static_cast<std::ptrdiff_t>(row) * step.shape.width();
    EXPECT_TRUE(std::equal(before.begin(), before.begin() + split, after.begin()));
    EXPECT_FALSE(std::equal(before.begin() + split, before.end(), after.begin() + split));
  }
}

TEST_P(AttentionCudaTest, LeavesGapsBetweenRowsOfYAlone) {
  for (const std::vector<AttentionTokens>& sequences :
       {std::vector<AttentionTokens>{{1, 70}, {1, 0}, {1, 900}}, {{30, 70}, {1, 90}}}) {
    AttentionStep step(shape_of(80, head_maps()[5]), sequences, 2);
    step.upload(device());
    const int stride = step.shape.width() + 16;
    const std::vector<float> ones(static_cast<std::size_t>(step.tokens * stride), 1.0f);
    testing::GpuArray wide = testing::to_gpu(device(), GetParam(), {step.tokens, stride}, ones);
    AttentionArgs args = step.gpu_args();
    args.y = wide.view.column_slice({8, 8 + step.shape.width()});
    attention(exec(), args);
    const std::vector<float> all = testing::floats_of(device(), wide.view);
    std::vector<float> got;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const int column = static_cast<int>(i) % stride;
      if (column >= 8 && column < 8 + step.shape.width()) {
        got.push_back(all[i]);
      } else {
        ASSERT_EQ(all[i], 1.0f) << "row " << static_cast<int>(i) / stride << ", column " << column;
      }
    }
    step.compute_on_host();
    EXPECT_EQ(step.differences(got), "") << step.describe();
  }
}

INSTANTIATE_TEST_SUITE_P(DTypes, AttentionCudaTest,
                         ::testing::Values(DType::f32, DType::f16, DType::bf16),
                         [](const auto& dtype) { return std::string(name_of(dtype.param)); });

}  // namespace
}  // namespace tutti
