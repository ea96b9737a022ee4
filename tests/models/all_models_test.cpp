// Walks every shape and every family: each valid plan builds a model whose shares make the whole.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/import_rules.hpp"
#include "models/registry.hpp"
#include "runtime/weights/tensor_source.hpp"
#include "tests/support/random_model.hpp"

namespace tutti {
namespace {

std::map<std::string, DecoderSpec> shapes() {
  std::map<std::string, DecoderSpec> found;
  for (const auto& entry : std::filesystem::directory_iterator("models/shapes")) {
    std::ifstream in(entry.path());
    found[entry.path().stem()] = DecoderSpec::from_json(nlohmann::json::parse(in));
  }
  return found;
}

// Tiny models of all families: those of the goldens.
std::map<std::string, DecoderSpec> tiny_models() {
  std::map<std::string, DecoderSpec> found;
  for (const auto& entry : std::filesystem::directory_iterator("tests/golden/models")) {
    found[entry.path().filename()] = spec_of(*open_source(entry.path()));
  }
  return found;
}

const Family& family_of(const DecoderSpec& spec) {
  for (const Family* family : families()) {
    if (family->name == spec.architecture) {
      return *family;
    }
  }
  throw std::runtime_error("no family is called " + spec.architecture);
}

// Elements of all tensors that an import makes: counted by name, not by plan.
std::int64_t parameters(const DecoderSpec& spec) {
  std::int64_t sum = 0;
  for (const TensorRule& rule : family_of(spec).tensors) {
    if (!has_tensor(rule, spec)) {
      continue;
    }
    const std::vector<std::int64_t> shape = weight_shape(rule.name, spec);
    const std::int64_t one = shape.size() == 2 ? shape[0] * shape[1] : shape[0];
    const std::int64_t weight = is_of_experts(rule.name) ? spec.experts * one : one;
    const std::int64_t bias = spec.has_bias(rule.name) ? shape[0] : 0;
    sum += (weight + bias) * (rule.name.starts_with("layers.") ? spec.layers : 1);
  }
  return sum;
}

// Published counts, of the text model and a tied head once: Touvron et al. 2023 (Llama 2), Llama 3
// (Grattafiori et al. 2024), SmolLM2, and the model cards of the others.
TEST(AllModels, ShapesHaveTheParametersThatTheirNamesPromise) {
  const std::map<std::string, double> billions{{"falcon-40b", 41.303},
                                               {"falcon-7b", 6.922},
                                               {"gemma-2-27b", 27.227},
                                               {"gemma-2-9b", 9.242},
                                               {"gemma-3-1b", 1.000},
                                               {"gemma-3-270m", 0.268},
                                               {"gemma-3-27b", 27.009},
                                               {"gpt-neox-20b", 20.555},
                                               {"gpt2", 0.1244},
                                               {"granite-3.1-8b", 8.171},
                                               {"llama-2-13b", 13.016},
                                               {"llama-2-70b", 68.977},
                                               {"llama-2-7b", 6.738},
                                               {"llama-3-70b", 70.554},
                                               {"llama-3-8b", 8.030},
                                               {"llama-3.1-405b", 405.85},
                                               {"llama-3.1-70b", 70.554},
                                               {"llama-3.1-8b", 8.030},
                                               {"llama-3.2-1b", 1.236},
                                               {"llama-3.2-3b", 3.213},
                                               {"mistral-7b", 7.248},
                                               {"mixtral-8x22b", 140.630},
                                               {"mixtral-8x7b", 46.703},
                                               {"qwen1.5-moe-a2.7b", 14.316},
                                               {"qwen3-235b-a22b", 235.094},
                                               {"qwen3-30b-a3b", 30.532},
                                               {"mpt-30b", 29.958},
                                               {"mpt-7b", 6.649},
                                               {"olmo-2-13b", 13.716},
                                               {"olmo-2-7b", 7.299},
                                               {"phi-3-mini", 3.821},
                                               {"phi-4", 14.660},
                                               {"pythia-6.9b", 6.857},
                                               {"qwen2.5-14b", 14.770},
                                               {"qwen2.5-32b", 32.764},
                                               {"qwen2.5-72b", 72.706},
                                               {"qwen2.5-7b", 7.616},
                                               {"qwen3-14b", 14.768},
                                               {"qwen3-32b", 32.762},
                                               {"qwen3-8b", 8.191},
                                               {"smollm2-135m", 0.1345},
                                               {"starcoder2-7b", 7.174}};
  const auto all = shapes();
  ASSERT_EQ(all.size(), billions.size());
  for (const auto& [name, spec] : all) {
    const double tolerance = std::max(0.001, 1e-5 * billions.at(name));
    EXPECT_NEAR(static_cast<double>(parameters(spec)) * 1e-9, billions.at(name), tolerance) << name;
  }
}

void expect_shares_make_the_whole(const std::string& name, const DecoderSpec& spec) {
  const ShardShape shape = spec.shard_shape();
  for (int ranks = 1; ranks <= std::min(16, ShardPlan::max_ranks(shape)); ++ranks) {
    const ShardPlan plan(shape, ranks);
    std::int64_t sum = 0;
    std::int64_t repeated = -spec.kv_heads;
    for (int rank = 0; rank < ranks; ++rank) {
      sum += plan.share(rank).parameters;
      repeated += plan.share(rank).kv_heads.size();
    }
    const std::int64_t on_all =
        spec.layers *
            ((shape.layer_vectors + shape.layer_rows) * spec.hidden + shape.layer_elements) +
        shape.last_vectors * spec.hidden;
    const std::int64_t kv = 2 * spec.head_dim * spec.hidden + shape.kv_head_elements;
    EXPECT_EQ(sum, parameters(spec) + (ranks - 1) * on_all + repeated * kv * spec.layers)
        << name << " on " << ranks << " ranks";
  }
}

TEST(AllModels, EveryPlanOfEveryShapeKnowsEveryTensor) {
  for (const auto& [name, spec] : shapes()) {
    expect_shares_make_the_whole(name, spec);
  }
  for (const auto& [name, spec] : tiny_models()) {
    expect_shares_make_the_whole(name, spec);
  }
}

// Of every family, on every number of ranks that it splits over.
TEST(AllModels, AModelHoldsWhatItsPlanSays) {
  for (const auto& [name, spec] : tiny_models()) {
    for (int ranks = 1; ranks <= ShardPlan::max_ranks(spec.shard_shape()); ++ranks) {
      const ShardPlan plan(spec.shard_shape(), ranks);
      run_ranks(ranks,
                [&, &name = name, &spec = spec](int rank, Communicator& group, ControlPlane&) {
                  const RandomWeights weights(1, DType::bf16);
                  const auto device = make_host_device(1);
                  const auto model = make_model(spec, plan, *device, group, weights, {});
                  const RankShare& share = plan.share(rank);
                  EXPECT_EQ(model->weight_bytes(),
                            static_cast<std::size_t>(2 * share.parameters + 2 * share.vectors))
                      << name << ", rank " << rank << " of " << ranks;
                });
    }
  }
}

TEST(AllModels, EveryFamilyHasAGoldenAndAShape) {
  std::set<std::string> goldens;
  for (const auto& [name, spec] : tiny_models()) {
    goldens.insert(spec.architecture);
  }
  std::set<std::string> shaped;
  for (const auto& [name, spec] : shapes()) {
    shaped.insert(spec.architecture);
  }
  for (const std::string& family : family_names()) {
    EXPECT_TRUE(goldens.contains(family)) << family;
    EXPECT_TRUE(shaped.contains(family)) << family;
  }
}

}  // namespace
}  // namespace tutti
