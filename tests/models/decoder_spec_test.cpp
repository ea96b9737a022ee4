#include "models/decoder_spec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "kernels/error.hpp"
#include "tests/support/random_model.hpp"

namespace tutti {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(DecoderSpec, SurvivesTheModelFile) {
  for (const char* kind : {"none", "linear", "llama3", "factors"}) {
    DecoderSpec spec = test::small_spec();
    spec.rope_scaling.kind = kind;
    if (spec.rope_scaling.kind == "factors") {
      spec.rope_scaling.factors = {1, 2, 3, 4};
    }
    EXPECT_EQ(DecoderSpec::from_json(spec.to_json()), spec) << kind;
  }
}

TEST(DecoderSpec, SurvivesTheModelFileAsAMixture) {
  const DecoderSpec spec = test::mixture_spec();
  EXPECT_EQ(DecoderSpec::from_json(spec.to_json()), spec);
  EXPECT_FALSE(test::small_spec().to_json().contains("experts"));
}

TEST(DecoderSpec, RefusesMixturesThatCannotBe) {
  using nlohmann::json;
  const std::vector<std::pair<json, std::string>> cases{
      {{{"experts_per_token", 8}}, "8 of 7 experts a token, wanted 1 to 16 of at most 512"},
      {{{"experts_per_token", 0}}, "0 of 7 experts a token"},
      {{{"experts", 513}}, "3 of 513 experts"},
      {{{"experts", -1}}, "'experts'"},
      {{{"experts", 0}}, "goes without 'experts'"},
      {{{"shared_ffn", -1}}, "'shared_ffn'"},
      {{{"gated", false}}, "'experts' goes without 'gated'"}};
  for (const auto& [change, text] : cases) {
    json config = test::mixture_spec().to_json();
    config.update(change);
    EXPECT_THAT([&] { DecoderSpec::from_json(config); },
                ThrowsMessage<ModelFileError>(HasSubstr(text)))
        << change;
  }
}

// By hand: each of two tokens misses an expert with 1 - 3/7.
TEST(DecoderSpec, CountsTheExpertsThatTokensRead) {
  EXPECT_EQ(test::small_spec().experts_read(5), 0);
  EXPECT_DOUBLE_EQ(test::mixture_spec().experts_read(1), 3);
  EXPECT_DOUBLE_EQ(test::mixture_spec().experts_read(2), 7 * (1 - 16.0 / 49));
}

TEST(DecoderSpec, NamesEveryFieldThatIsMissing) {
  const nlohmann::json whole = test::small_spec().to_json();
  for (const auto& [field, value] : whole.items()) {
    nlohmann::json cut = whole;
    cut.erase(field);
    EXPECT_THAT([&] { DecoderSpec::from_json(cut); },
                ThrowsMessage<ModelFileError>(HasSubstr("'" + field + "'")));
  }
}

TEST(DecoderSpec, RefusesNonsense) {
  const nlohmann::json whole = test::small_spec().to_json();
  for (const char* field : {"layers", "hidden", "q_heads", "kv_heads", "head_dim", "ffn",
                            "vocabulary", "context_length", "norm_eps", "rope_theta"}) {
    for (const nlohmann::json& bad : {nlohmann::json(0), nlohmann::json(-3), nlohmann::json("x")}) {
      nlohmann::json config = whole;
      config[field] = bad;
      EXPECT_THAT([&] { DecoderSpec::from_json(config); },
                  ThrowsMessage<ModelFileError>(HasSubstr(field)))
          << bad;
    }
  }
  for (const int head_dim : {7, 258}) {
    nlohmann::json config = whole;
    config["head_dim"] = head_dim;
    EXPECT_THAT([&] { DecoderSpec::from_json(config); },
                ThrowsMessage<ModelFileError>(HasSubstr("head_dim")));
  }
  nlohmann::json config = whole;
  config["kv_heads"] = 4;
  EXPECT_THROW(DecoderSpec::from_json(config), ModelFileError);
}

TEST(DecoderSpec, RefusesNumbersThatWouldBeRounded) {
  const nlohmann::json whole = test::small_spec().to_json();
  for (const nlohmann::json& bad : {nlohmann::json(2.5), nlohmann::json(true)}) {
    nlohmann::json config = whole;
    config["layers"] = bad;
    EXPECT_THAT([&] { DecoderSpec::from_json(config); },
                ThrowsMessage<ModelFileError>(HasSubstr("'layers'")));
  }
}

TEST(DecoderSpec, RotaryScalingThatCannotBeIsAnErrorOfTheFile) {
  using nlohmann::json;
  const std::vector<json> cases{
      {{"kind", "yarn"}},
      {{"kind", "factors"}, {"factors", {1, 2, 3}}},     // heads of 8 want four
      {{"kind", "factors"}, {"factors", {1, 2, 3, 0}}},  // divides by zero
      {{"kind", "llama3"},                               // no slope between the two
       {"factor", 8},
       {"low_freq_factor", 4},
       {"high_freq_factor", 4},
       {"original_context", 8192}},
      {{"kind", "llama3"},
       {"factor", 8},
       {"low_freq_factor", 1},
       {"high_freq_factor", 4},
       {"original_context", 0}}};
  for (const json& scaling : cases) {
    json config = test::small_spec().to_json();
    config["rope_scaling"] = scaling;
    EXPECT_THAT([&] { DecoderSpec::from_json(config); },
                ThrowsMessage<ModelFileError>(HasSubstr("rope_scaling")))
        << scaling;
  }
}

}  // namespace
}  // namespace tutti
