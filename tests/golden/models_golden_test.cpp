// Tiny random models against what transformers computed with them: logits and greedy tokens, on any
// number of ranks, in the stored type and imported as bf16 (tests/golden/README.md).
#include <algorithm>
#include <cmath>

#include "runtime/comm/thread_group.hpp"
#include "tests/golden/model_golden.hpp"

namespace tutti {
namespace {

using test::Expected;
using test::Golden;
using test::Ids;
using test::kChunk;

void compare_row(const Expected& expected, int position, const float* found, std::int64_t n,
                 float tolerance) {
  const auto row = expected.logits.find(position);
  if (row != expected.logits.end()) {
    float worst = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      worst = std::max(worst, std::abs(found[i] - row->second[static_cast<std::size_t>(i)]));
    }
    EXPECT_LE(worst, tolerance) << "logits at position " << position;
    EXPECT_FALSE(std::isnan(worst));
  }
  const int answered = position + 1 - static_cast<int>(expected.prompt.size());
  if (answered >= 0 && answered < static_cast<int>(expected.tokens.size())) {
    EXPECT_EQ(std::max_element(found, found + n) - found,
              expected.tokens[static_cast<std::size_t>(answered)])
        << "greedy token " << answered;
  }
}

// The prompt in chunks, then the golden's tokens one by one.
void run_prompt(Model& model, Device& device, int rank, const Expected& expected, float tolerance) {
  Ids ids = expected.prompt;
  ids.insert(ids.end(), expected.tokens.begin(), expected.tokens.end() - 1);
  const KvLayout layout = model.kv_layout();
  KvCache cache(device, layout, layout.pages_for(static_cast<std::int64_t>(ids.size())));
  const auto prompt = static_cast<int>(expected.prompt.size());
  for (int first = 0; first < static_cast<int>(ids.size());) {
    const int count = first < prompt ? std::min(kChunk, prompt - first) : 1;
    const TensorView logits = model.forward(test::plan_of(ids, first, count, cache), cache).logits;
    for (int i = 0; rank == 0 && i < count; ++i) {
      compare_row(expected, first + i, logits.row<float>(i), logits.shape[1], tolerance);
    }
    first += count;
  }
}

struct Case {
  std::string model;
  std::string variant;
  int ranks = 1;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.model << ", " << c.variant << ", ranks: " << c.ranks;
}

class ModelGolden : public ::testing::TestWithParam<Case> {};

TEST_P(ModelGolden, LogitsAndGreedyTokensAreTheReferences) {
  const auto& [name, variant, ranks] = GetParam();
  const Golden golden = test::read_golden(name, variant);

  const test::ScratchFolder scratch;
  const auto path = scratch.path() / "model.h5";
  test::import_golden(golden, variant, path);

  const ModelFile file(path);
  const DecoderSpec spec = DecoderSpec::from_json(file.config());
  const ShardPlan plan(spec.shard_shape(), ranks);
  run_ranks(ranks, [&](int rank, Communicator& group, ControlPlane&) {
    const auto device = make_host_device(1);
    const ModelFileSource weights(file, {});
    const auto model = make_model(
        spec, plan, *device, group, weights,
        {.max_step_tokens = kChunk, .max_logit_rows = kChunk, .max_context = golden.max_context});
    for (const Expected& expected : golden.prompts) {
      SCOPED_TRACE(fmt::format("prompt of {} tokens", expected.prompt.size()));
      run_prompt(*model, *device, rank, expected, golden.tolerance);
    }
  });
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::string& model : test::golden_names()) {
    const auto heads = static_cast<int>(test::golden_spec(model).q_heads);
    for (const std::string& variant : test::variants(model)) {
      for (const int ranks : {1, 2, 3, 4}) {
        if (ranks <= heads) {
          all.push_back({model, variant, ranks});
        }
      }
      if (heads > 4) {  // the largest count there is: one query head on each rank
        all.push_back({model, variant, heads});
      }
    }
  }
  return all;
}

std::string name_of_case(const ::testing::TestParamInfo<Case>& info) {
  std::string name =
      fmt::format("{}_{}_ranks{}", info.param.model, info.param.variant, info.param.ranks);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(AllModels, ModelGolden, ::testing::ValuesIn(cases()), name_of_case);

}  // namespace
}  // namespace tutti
