#include "launch/plan_model.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/error.hpp"
#include "models/shapes.hpp"
#include "tests/support/scratch_folder.hpp"

namespace tutti {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Kind = PlannedModel::Kind;

nlohmann::json llama_config() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"hidden_act", "silu"},
          {"num_hidden_layers", 80},
          {"hidden_size", 8192},
          {"num_attention_heads", 64},
          {"num_key_value_heads", 8},
          {"intermediate_size", 28672},
          {"vocab_size", 32000},
          {"max_position_embeddings", 4096},
          {"rms_norm_eps", 1e-5},
          {"torch_dtype", "float16"}};
}

class PlanModel : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const nlohmann::json& config) {
    const std::filesystem::path file = folder_.path() / name;
    std::ofstream(file) << config.dump(1);
    return file.string();
  }
  std::string failure(const std::string& what) {
    try {
      planned_model(what, {});
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  }

  test::ScratchFolder folder_;
};

TEST_F(PlanModel, AConfigurationIsTheShapeOfItsName) {
  const PlannedModel shape = planned_model("llama-2-70b", {});
  const PlannedModel config = planned_model(write("config.json", llama_config()), {});
  EXPECT_EQ(config.kind, Kind::hf_config);
  EXPECT_EQ(shape.kind, Kind::shape);
  EXPECT_EQ(config.spec, shape.spec);
  EXPECT_EQ(config.parameters, 68'976'648'192u);
  EXPECT_EQ(config.dtype, DType::f16);
  EXPECT_EQ(shape.dtype, DType::bf16);
  const std::uint64_t norms = 161 * 8192;  // 4 bytes each, the others 2
  EXPECT_EQ(shape.weight_bytes, 2 * 68'976'648'192u + 2 * norms);
}

TEST_F(PlanModel, AFolderNeedsNothingButItsConfiguration) {
  write("config.json", llama_config());
  const PlannedModel model = planned_model(folder_.path().string(), {});
  EXPECT_EQ(model.kind, Kind::hf_folder);
  EXPECT_EQ(model.name, folder_.path().filename().string());
  EXPECT_EQ(model.dtype, DType::f16);
}

TEST_F(PlanModel, DtypeIsOverruled) {
  const PlannedModel model = planned_model("llama-2-7b", DType::f32);
  EXPECT_EQ(model.dtype, DType::f32);
  EXPECT_EQ(model.weight_bytes, 4 * model.parameters);
}

TEST_F(PlanModel, ShapesAreFoundByNameAndByPath) {
  EXPECT_EQ(planned_model("models/shapes/llama-2-7b", {}).name, "llama-2-7b");
  EXPECT_EQ(planned_model("models/shapes/llama-2-7b.json", {}).kind, Kind::shape);
}

TEST_F(PlanModel, WhatIsNotThereIsNamed) {
  EXPECT_THAT(failure("llama-9"), AllOf(HasSubstr("known are "), HasSubstr(" llama-2-13b,")));
  EXPECT_THAT(failure("./nowhere/llama"), HasSubstr("found nothing there"));
  EXPECT_THAT(failure("nowhere.h5"), HasSubstr("nowhere.h5"));
  EXPECT_THAT(failure("nowhere.json"), HasSubstr("nowhere.json"));
  EXPECT_THAT(failure("nowhere.gguf"), HasSubstr("nowhere.gguf"));
  EXPECT_THAT(failure(folder_.path().string()), HasSubstr("config.json"));
}

TEST_F(PlanModel, AConfigurationThatCannotRunIsRefusedAsByImport) {
  nlohmann::json config = llama_config();
  config["architectures"] = {"MambaForCausalLM"};
  EXPECT_THAT(failure(write("a.json", config)),
              AllOf(HasSubstr("a.json"), HasSubstr("architecture 'MambaForCausalLM' is not known"),
                    HasSubstr("LlamaForCausalLM")));
  config = llama_config();
  config["quantization_config"] = {{"bits", 4}};
  EXPECT_THAT(failure(write("b.json", config)), HasSubstr("quantization_config"));
  config = llama_config();
  config.erase("hidden_size");
  EXPECT_THAT(failure(write("c.json", config)), HasSubstr("'hidden_size' is missing"));
  config = llama_config();
  config["num_key_value_heads"] = 7;
  EXPECT_THAT(failure(write("d.json", config)), HasSubstr("cannot share 7 KV heads"));
  config.erase("architectures");
  EXPECT_THAT(failure(write("e.json", config)), HasSubstr("'architectures' is missing"));
  std::ofstream(folder_.path() / "f.json") << "{";
  EXPECT_THAT(failure((folder_.path() / "f.json").string()), HasSubstr("is not JSON"));
  EXPECT_THAT(failure(write("g.json", nlohmann::json::array())), HasSubstr("g.json"));
}

}  // namespace
}  // namespace tutti
