// No field of a configuration is ignored in silence: changed, it changes the spec, is refused by
// name, or stands in the list of those that compute nothing.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "kernels/error.hpp"
#include "models/registry.hpp"
#include "runtime/weights/tensor_source.hpp"

namespace tutti {
namespace {

using nlohmann::json;
using namespace nlohmann::literals;

// A golden's folder with another configuration.
class ChangedSource final : public TensorSource {
 public:
  ChangedSource(const TensorSource& source, json config)
      : source_(source), config_(std::move(config)) {}
  const std::vector<SourceTensor>& tensors() const override { return source_.tensors(); }
  const json& config() const override { return config_; }
  const TokenizerAssets& tokenizer() const override { return source_.tokenizer(); }
  std::string format() const override { return source_.format(); }
  std::string default_name() const override { return source_.default_name(); }
  void read_rows(const SourceTensor& tensor, Range rows, DType dtype,
                 std::byte* dst) const override {
    source_.read_rows(tensor, rows, dtype, dst);
  }

 private:
  const TensorSource& source_;
  json config_;
};

// What computes nothing, whatever it says: names, training, generation, caches.
const std::set<std::string> kWithoutEffect{"model_type",
                                           "torch_dtype",
                                           "dtype",
                                           "use_cache",
                                           "bos_token_id",
                                           "eos_token_id",
                                           "pad_token_id",
                                           "initializer_range",
                                           "attention_dropout",
                                           "hidden_dropout",
                                           "embd_pdrop",
                                           "resid_pdrop",
                                           "attn_pdrop",
                                           "emb_pdrop",
                                           "embedding_dropout",
                                           "residual_dropout",
                                           "cache_implementation",
                                           "pretraining_tp",
                                           "output_router_logits",
                                           "router_aux_loss_coef"};

// Where something else in the same configuration says that they do nothing, by the reference.
bool is_idle(const std::string& field, const json& config) {
  const std::string model = config.value("model_type", "");
  const auto one_of = [&field](const std::set<std::string>& names) {
    return names.contains(field);
  };
  const bool dynamic = config.value("/rope_scaling/type"_json_pointer, "") == "dynamic";
  const bool long_window = config.contains("sliding_window") &&
                           config["sliding_window"].is_number() &&
                           config["sliding_window"] > config.value("max_position_embeddings", 0);
  return (model.starts_with("qwen") && one_of({"sliding_window", "max_window_layers"})) ||
         (config.contains("moe_intermediate_size") && one_of({"intermediate_size"})) ||
         (config.value("new_decoder_architecture", false) &&
          one_of({"multi_query", "parallel_attn"})) ||
         (model == "gemma2" && one_of({"hidden_act"})) ||  // hidden_activation is what counts
         (model == "gpt2" && one_of({"n_ctx"})) ||         // n_positions is
         (model == "mpt" && one_of({"attn_impl"})) ||
         (dynamic && one_of({"factor"})) ||  // begins beyond the longest context
         (long_window && one_of({"sliding_window"}));
}

std::vector<json> others_than(const json& value) {
  if (value.is_boolean()) {
    return {!value.get<bool>()};
  }
  if (value.is_number_integer()) {
    return {value.get<std::int64_t>() + 1, 2 * value.get<std::int64_t>() + 2};
  }
  if (value.is_number()) {
    return {2 * value.get<double>() + 1};
  }
  if (value.is_string()) {
    return {value.get<std::string>() + "_of_another_kind"};
  }
  return {};
}

// Whether the change is noticed.
bool notices(const TensorSource& source, const DecoderSpec& spec, const json& config) {
  try {
    return !(spec_of(ChangedSource(source, config)) == spec);
  } catch (const Error&) {
    return true;
  }
}

// Fields of the configuration and of objects in it, as pointers.
std::vector<json::json_pointer> fields_of(const json& config) {
  std::vector<json::json_pointer> fields;
  const json flat = config.flatten();
  for (const auto& [path, value] : flat.items()) {
    fields.emplace_back(path);
  }
  return fields;
}

class ConfigStrictness : public ::testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<TensorSource> source_ =
      open_source(std::filesystem::path("tests/golden/models") / GetParam());
  DecoderSpec spec_ = spec_of(*source_);
};

TEST_P(ConfigStrictness, EveryFieldCountsOrIsKnownNotTo) {
  const json& config = source_->config();
  for (const json::json_pointer& field : fields_of(config)) {
    const std::string name = field.back();
    for (const json& other : others_than(config.at(field))) {
      json changed = config;
      changed[field] = other;
      EXPECT_TRUE(notices(*source_, spec_, changed) || kWithoutEffect.contains(name) ||
                  is_idle(name, config))
          << field.to_string() << " may be " << other << " without a word";
    }
  }
}

TEST_P(ConfigStrictness, AFieldThatNobodyKnowsIsRefusedByName) {
  json changed = source_->config();
  changed["attention_in_another_manner"] = true;
  try {
    spec_of(ChangedSource(*source_, changed));
    ADD_FAILURE() << "it was accepted";
  } catch (const ModelFileError& error) {
    EXPECT_NE(std::string(error.what()).find("'attention_in_another_manner'"), std::string::npos)
        << error.what();
  }
}

std::vector<std::string> goldens() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("tests/golden/models")) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Goldens, ConfigStrictness, ::testing::ValuesIn(goldens()),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

}  // namespace
}  // namespace tutti
