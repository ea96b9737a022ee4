// Walks every shape and every family: each valid plan builds a model whose shares make the whole.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/registry.hpp"
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

std::int64_t parameters(const DecoderSpec& spec) {
  const std::int64_t attention =
      spec.hidden * spec.head_dim * (2 * spec.q_heads + 2 * spec.kv_heads);
  const std::int64_t layer = attention + 3 * spec.hidden * spec.ffn + 2 * spec.hidden;
  const std::int64_t tables = spec.vocabulary * spec.hidden * (spec.tied_head ? 1 : 2);
  return spec.layers * layer + tables + spec.hidden;
}

// Published counts: Touvron et al. 2023 (7B, 13B, 70B), Llama 3 (8B, 70B), SmolLM2.
TEST(AllModels, ShapesHaveTheParametersThatTheirNamesPromise) {
  const std::map<std::string, double> billions{{"llama-2-7b", 6.738},   {"llama-2-13b", 13.016},
                                               {"llama-2-70b", 68.977}, {"llama-3-8b", 8.030},
                                               {"llama-3-70b", 70.554}, {"smollm2-135m", 0.1345}};
  const auto all = shapes();
  ASSERT_EQ(all.size(), billions.size());
  for (const auto& [name, spec] : all) {
    EXPECT_NEAR(static_cast<double>(parameters(spec)) * 1e-9, billions.at(name), 0.001) << name;
  }
}

TEST(AllModels, EveryPlanOfEveryShapeKnowsEveryTensor) {
  for (const auto& [name, spec] : shapes()) {
    for (int ranks = 1; ranks <= std::min(16, ShardPlan::max_ranks(spec.shard_shape())); ++ranks) {
      const ShardPlan plan(spec.shard_shape(), ranks);
      std::int64_t sum = 0;
      std::int64_t repeated = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        sum += plan.share(rank).parameters;
        repeated += plan.share(rank).kv_heads.size();
      }
      repeated -= spec.kv_heads;
      const std::int64_t norms = (ranks - 1) * spec.hidden * (2 * spec.layers + 1);
      const std::int64_t kv = 2 * repeated * spec.head_dim * spec.hidden * spec.layers;
      EXPECT_EQ(sum, parameters(spec) + norms + kv) << name << " on " << ranks << " ranks";
    }
  }
}

TEST(AllModels, AModelHoldsWhatItsPlanSays) {
  const DecoderSpec spec = test::small_spec();
  for (int ranks = 1; ranks <= 9; ++ranks) {
    const ShardPlan plan(spec.shard_shape(), ranks);
    run_ranks(ranks, [&](int rank, Communicator& group, ControlPlane&) {
      const RandomWeights weights(1, DType::bf16);
      const auto device = make_host_device(1);
      const auto model = make_model(spec, plan, *device, group, weights, {});
      const std::int64_t norms = spec.hidden * (2 * spec.layers + 1);
      const auto bytes = static_cast<std::size_t>(2 * plan.share(rank).parameters + 2 * norms);
      EXPECT_EQ(model->weight_bytes(), bytes) << "rank " << rank << " of " << ranks;
    });
  }
}

}  // namespace
}  // namespace tutti
