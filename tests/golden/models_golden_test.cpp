// Tiny random models against what transformers computed with them: logits and greedy tokens, on any
// number of ranks, in the stored type and imported as bf16 (tests/golden/README.md).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/registry.hpp"
#include "runtime/comm/thread_group.hpp"
#include "runtime/weights/model_file.hpp"
#include "tests/support/scratch_folder.hpp"

namespace tutti {
namespace {

using nlohmann::json;
using Ids = std::vector<std::int32_t>;

constexpr int kChunk = 32;  // prompt tokens in one step: the longest prompt takes three

// One prompt of expected.json, with its tokens and rows of expected.f32.
struct Expected {
  Ids prompt;
  Ids tokens;
  std::map<int, std::vector<float>> logits;  // by position in prompt + tokens
};

struct Golden {
  std::filesystem::path folder;
  std::vector<Expected> prompts;
  float tolerance = 0;
};

// The goldens' own rounding error is known: f32_noise is their largest distance to the same in
// float64. Ours comes from the same float32 operations with the sums in another order (other
// blocks, partial sums of ranks), hence of that size too: the distance is at most 1 + 1 times it
// where both are extreme at the same logit. Another order may be less lucky than theirs, by the
// square root of the length of the sums (8 for 67 terms) were ours added one by one: 1 + 8, rounded
// down to 8. That is 1e-5 of the largest logit, and a hundredth of the gaps that decide the tokens.
float tolerance_of(double noise) {
  return static_cast<float>(8 * noise);
}

Golden read_golden(const std::string& name, const std::string& variant) {
  Golden golden{.folder = std::filesystem::path("tests/golden/models") / name};
  const json doc = json::parse(std::ifstream(golden.folder / "expected.json"));
  const auto vocabulary = doc.at("vocab_size").get<std::size_t>();
  const json& wanted = doc.at("variants").at(variant);
  golden.tolerance = tolerance_of(wanted.at("f32_noise").get<double>());
  std::ifstream file(golden.folder / "expected.f32", std::ios::binary);
  for (std::size_t i = 0; i < doc.at("prompts").size(); ++i) {
    const json& entry = wanted.at("prompts").at(i);
    Expected expected{.prompt = doc.at("prompts")[i].get<Ids>(),
                      .tokens = entry.at("tokens").get<Ids>()};
    auto row = entry.at("first_row").get<std::size_t>();
    for (const int position : entry.at("rows").get<Ids>()) {
      std::vector<float> logits(vocabulary);
      file.seekg(static_cast<std::streamoff>(row++ * vocabulary * sizeof(float)));
      file.read(reinterpret_cast<char*>(logits.data()),
                static_cast<std::streamsize>(vocabulary * sizeof(float)));
      expected.logits.emplace(position, std::move(logits));
    }
    golden.prompts.push_back(std::move(expected));
  }
  EXPECT_TRUE(file.good()) << "expected.f32 is cut short";
  return golden;
}

// Tokens [first, first + count) of one sequence, whose pages lie in reverse; logits of all of them.
StepPlan plan_of(const Ids& ids, int first, int count, const KvCache& cache) {
  const int page_size = cache.layout().page_size;
  StepPlan plan;
  plan.max_blocks = cache.pages();
  for (int block = 0; block < cache.pages(); ++block) {
    plan.block_table.push_back(cache.pages() - 1 - block);
  }
  for (int position = first; position < first + count; ++position) {
    const auto block = static_cast<std::size_t>(position / page_size);
    plan.token_ids.push_back(ids[static_cast<std::size_t>(position)]);
    plan.positions.push_back(position);
    plan.slots.push_back(plan.block_table[block] * page_size + position % page_size);
    plan.logit_rows.push_back(position - first);
  }
  plan.query_begin = {0, count};
  plan.context_length = {first + count};
  return plan;
}

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
    const TensorView logits = model.forward(plan_of(ids, first, count, cache), cache).logits;
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

class ModelGolden : public ::testing::TestWithParam<Case> {};

TEST_P(ModelGolden, LogitsAndGreedyTokensAreTheReferences) {
  const auto& [name, variant, ranks] = GetParam();
  const Golden golden = read_golden(name, variant);

  const test::ScratchFolder scratch;
  const auto path = scratch.path() / "model.h5";
  const auto source = open_source(golden.folder);
  const auto dtype = variant == "bf16" ? std::optional(DType::bf16) : std::nullopt;
  import_model(*source, make_import_job(*source, golden.folder.string(), dtype), path, {});

  const ModelFile file(path);
  const DecoderSpec spec = DecoderSpec::from_json(file.config());
  const ShardPlan plan(spec.shard_shape(), ranks);
  run_ranks(ranks, [&](int rank, Communicator& group, ControlPlane&) {
    const auto device = make_host_device(1);
    const ModelFileSource weights(file, {});
    const auto model = make_model(spec, plan, *device, group, weights,
                                  {.max_step_tokens = kChunk, .max_logit_rows = kChunk});
    for (const Expected& expected : golden.prompts) {
      SCOPED_TRACE(fmt::format("prompt of {} tokens", expected.prompt.size()));
      run_prompt(*model, *device, rank, expected, golden.tolerance);
    }
  });
}

std::vector<Case> cases() {
  // The last count of each is the largest there is: one query head on each rank.
  const std::vector<std::pair<std::string, int>> models{{"llama-14q2kv", 14},
                                                        {"llama-9q3kv-tied", 9},
                                                        {"llama-untied-linear", 8},
                                                        {"llama-rope3", 6},
                                                        {"llama-bf16", 4}};
  std::vector<Case> all;
  for (const auto& [model, heads] : models) {
    for (const std::string variant : {"stored", "bf16"}) {
      if (model == "llama-bf16" && variant == "bf16") {
        continue;  // stored so
      }
      for (const int ranks : {1, 2, 3, 4}) {
        all.push_back({model, variant, ranks});
      }
      if (heads > 4) {
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
