// The goldens of models_golden_test on GPUs, one rank each: f32 within the host's own tolerance,
// bf16 within roundings, tokens equal but where two logits are nearer than that.
#include <algorithm>
#include <cmath>

#include "runtime/comm/gpu_group.hpp"
#include "tests/golden/model_golden.hpp"
#include "tests/support/mpi_gpu.hpp"
#include "tests/support/mpi_main.hpp"

namespace tutti {
namespace {

using test::Expected;
using test::Golden;
using test::Ids;
using test::kChunk;

struct Case {
  std::string model;
  std::string variant;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.model << ", " << c.variant;
}

class GpuModelGolden : public ::testing::TestWithParam<Case> {
 protected:
  static void SetUpTestSuite() {
    gpu() = std::make_unique<testing::RankGpu>(testing::RankGpu::open(test_session()));
    if (gpu()->why_not.empty()) {
      const int ranks = test_session().size();  // four are told that they sit on two nodes
      group() =
          make_gpu_group(*gpu()->library, *gpu()->device, test_session().world(), *gpu()->control,
                         testing::spread_over(ranks == 4 ? 2 : 1, ranks), {});
      if (test_session().rank() == 0) {
        fmt::print("{} ranks: {}\n", group()->size(), group()->name());
      }
    }
  }
  static void TearDownTestSuite() {
    if (group()) {
      group()->close();
    }
    group().reset();
    gpu().reset();
  }
  void SetUp() override {
    if (!gpu()->why_not.empty()) {
      GTEST_SKIP() << gpu()->why_not;
    }
  }
  static std::unique_ptr<testing::RankGpu>& gpu() {
    static std::unique_ptr<testing::RankGpu> instance;
    return instance;
  }

  static std::unique_ptr<Communicator>& group() {
    static std::unique_ptr<Communicator> instance;
    return instance;
  }
  static std::vector<float> copy_out(const TensorView& view) {
    std::vector<float> values(static_cast<std::size_t>(view.elements()));
    gpu()->device->copy_out(values.data(), view.data, view.bytes());
    gpu()->device->synchronize();
    return values;
  }
};

// What roundings of 16-bit activations may come to: seven in each layer, ten where experts and an
// MLP beside them are added up, each like noise of the unit roundoff's share of the logits; six
// standard deviations, twice that for roundings within products.
double roundings(const float* logits, std::int64_t n, const DecoderSpec& spec) {
  double squares = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    squares += double{logits[i]} * logits[i];
  }
  return 12 * 0x1p-8 *
         std::sqrt(((spec.experts > 0 ? 10.0 : 7.0) * static_cast<double>(spec.layers) + 3) *
                   squares / static_cast<double>(n));
}

void compare(const Expected& expected, int position, const float* found, std::int64_t n,
             double tolerance) {
  const auto row = expected.logits.find(position);
  if (row != expected.logits.end()) {
    double worst = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      worst =
          std::max(worst, std::abs(double{found[i]} - row->second[static_cast<std::size_t>(i)]));
    }
    EXPECT_LE(worst, tolerance) << "logits at position " << position;
    EXPECT_FALSE(std::isnan(worst));
  }
  const int answered = position + 1 - static_cast<int>(expected.prompt.size());
  if (answered >= 0 && answered < static_cast<int>(expected.tokens.size())) {
    const std::int32_t wanted = expected.tokens[static_cast<std::size_t>(answered)];
    EXPECT_GE(found[wanted], *std::max_element(found, found + n) - 2 * tolerance)
        << "greedy token " << answered;
  }
}

TEST_P(GpuModelGolden, LogitsAndGreedyTokensAreTheReferences) {
  const auto& [name, variant] = GetParam();
  const Golden golden = test::read_golden(name, variant);
  const test::ScratchFolder scratch;
  const auto path = scratch.path() / "model.h5";
  test::import_golden(golden, variant, path);
  const ModelFile file(path);
  const DecoderSpec spec = DecoderSpec::from_json(file.config());
  if (spec.q_heads < test_session().size()) {
    GTEST_SKIP() << spec.q_heads << " query heads";
  }
  const ShardPlan plan(spec.shard_shape(), test_session().size());
  const ModelFileSource weights(file, {});
  const auto model = make_model(
      spec, plan, *gpu()->device, *group(), weights,
      {.max_step_tokens = kChunk, .max_logit_rows = kChunk, .max_context = golden.max_context});
  const bool exact = model->kv_layout().dtype == DType::f32;
  for (const Expected& expected : golden.prompts) {
    SCOPED_TRACE(fmt::format("prompt of {} tokens", expected.prompt.size()));
    Ids ids = expected.prompt;
    ids.insert(ids.end(), expected.tokens.begin(), expected.tokens.end() - 1);
    const KvLayout layout = model->kv_layout();
    KvCache cache(*gpu()->device, layout, layout.pages_for(std::ssize(ids)));
    const auto prompt = static_cast<int>(expected.prompt.size());
    for (int first = 0; first < static_cast<int>(ids.size());) {
      const int count = first < prompt ? std::min(kChunk, prompt - first) : 1;
      const TensorView logits =
          model->forward(test::plan_of(ids, first, count, cache), cache).logits;
      gpu()->device->synchronize();
      const std::vector<float> rows = logits.dims == 0 ? std::vector<float>() : copy_out(logits);
      const std::int64_t n = spec.vocabulary;
      for (int i = 0; !rows.empty() && i < count; ++i) {
        const float* row = rows.data() + i * n;
        compare(expected, first + i, row, n, exact ? golden.tolerance : roundings(row, n, spec));
      }
      first += count;
    }
  }
}

// All goldens; but mixtures of experts in f32 alone, since 16 bits send tokens elsewhere, unless
// all experts are for every token.
std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::string& model : test::golden_names()) {
    for (const std::string& variant : test::variants(model)) {
      const DecoderSpec spec = test::golden_spec(model);
      const bool chooses = spec.experts_per_token < spec.experts;
      if (!chooses || variant == "stored") {
        all.push_back({model, variant});
      }
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(AllModels, GpuModelGolden, ::testing::ValuesIn(cases()));

}  // namespace
}  // namespace tutti
