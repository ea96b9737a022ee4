// GGUF files as llama.cpp's converter makes them (make_gguf.py) against the folders that they were
// made of: once imported, the same tensors bit by bit and the same configuration, but for what such
// a file cannot say.
#include "tests/golden/model_golden.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr const char* kFolder = "tests/golden/gguf";

// What the file becomes where the folder says something else; null: nothing is written.
json differences(const std::string& name) {
  static const json kKnown{
      {"mistral-window", {{"architecture", "llama"}, {"window", nullptr}}},
      {"starcoder2-window", {{"window", nullptr}}},
      {"gemma2-caps", {{"attention_scale", 0.25}}},  // 1 / sqrt(head_dim), as in all but the 27B
      {"gemma3-window", {{"attention_scale", 0.25}, {"full_attention_every", 6}}},
      {"qwen3-moe-plain", {{"renormalise_experts", nullptr}}},  // as in all published ones
      {"falcon-one", {{"context_length", 2048}}},
      {"falcon-grouped", {{"context_length", 2048}}},
      {"mpt-four", {{"attention_scale", nullptr}}},
  };
  return kKnown.value(name, json::object());
}

// Metadata are f32: numbers that are no whole ones are compared as such.
json rounded(json value) {
  if (value.is_number_float()) {
    return static_cast<float>(value.get<double>());
  }
  if (value.is_structured()) {
    for (json& inner : value) {
      inner = rounded(inner);
    }
  }
  return value;
}

ModelFile imported(const std::filesystem::path& source_path, const std::filesystem::path& out) {
  const auto source = open_source(source_path);
  import_model(*source, make_import_job(*source, source_path.string(), DType::f32), out, {});
  return ModelFile(out);
}

std::vector<float> frequencies(const ModelFile& file) {
  const DecoderSpec spec = DecoderSpec::from_json(file.config());
  return rotary_frequencies(static_cast<int>(spec.rotated()), spec.rope_theta, spec.rope_scaling,
                            spec.context_length);
}

class GgufGolden : public ::testing::TestWithParam<std::string> {
 protected:
  test::ScratchFolder scratch_;
  ModelFile folder_ = imported(test::golden_folder(GetParam()), scratch_.path() / "folder.h5");
  ModelFile gguf_ = imported(std::filesystem::path(kFolder) / (GetParam() + ".gguf"),
                             scratch_.path() / "gguf.h5");
};

TEST_P(GgufGolden, TensorsAreTheFoldersBitByBit) {
  ASSERT_EQ(gguf_.tensors().size(), folder_.tensors().size());
  for (const TensorInfo& wanted : folder_.tensors()) {
    const TensorInfo* found = gguf_.find(wanted.name);
    ASSERT_NE(found, nullptr) << wanted.name;
    EXPECT_EQ(found->shape, wanted.shape) << wanted.name;
    EXPECT_EQ(found->dtype, DType::f32) << wanted.name;
    EXPECT_EQ(wanted.dtype, DType::f32) << wanted.name;
    EXPECT_EQ(found->sha256, wanted.sha256)
        << wanted.name << ": " << found->source_name << ", " << wanted.source_name;
  }
}

TEST_P(GgufGolden, TheConfigurationIsTheFoldersButForWhatTheFileCannotSay) {
  json wanted = folder_.config();
  json found = gguf_.config();
  const json different = differences(GetParam());
  for (const auto& [field, value] : different.items()) {
    EXPECT_NE(found.value(field, json()), wanted.value(field, json())) << field;
  }
  wanted.merge_patch(different);
  if (found["rope_scaling"]["kind"] == "factors") {  // Llama 3's rule, worked out
    const std::vector<float> ruled = frequencies(folder_);
    const std::vector<float> listed = frequencies(gguf_);
    ASSERT_EQ(listed.size(), ruled.size());
    for (std::size_t i = 0; i < ruled.size(); ++i) {
      EXPECT_NEAR(listed[i], ruled[i], 1e-6f * ruled[i]) << i;  // a few roundings in f32
    }
    found.erase("rope_scaling");
    wanted.erase("rope_scaling");
  }
  EXPECT_EQ(rounded(found), rounded(wanted));
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    all.push_back(entry.path().stem());
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::string name_of(const ::testing::TestParamInfo<std::string>& file) {
  std::string name = file.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(AllFiles, GgufGolden, ::testing::ValuesIn(names()), name_of);

}  // namespace
}  // namespace tutti
