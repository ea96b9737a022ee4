// The goldens of tiny random models, and the plans that run them.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/registry.hpp"
#include "runtime/weights/model_file.hpp"
#include "tests/support/scratch_folder.hpp"

namespace tutti::test {

using Ids = std::vector<std::int32_t>;

inline constexpr int kChunk = 32;  // prompt tokens in one step: the longest prompt takes three

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
  std::int64_t max_context = 0;  // of the run; 0: the model's own
};

inline std::filesystem::path golden_folder(const std::string& name) {
  return std::filesystem::path("tests/golden/models") / name;
}

// All that make_models.py made, in order.
inline std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("tests/golden/models")) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

inline nlohmann::json read_json(const std::filesystem::path& path) {
  return nlohmann::json::parse(std::ifstream(path));
}

// "stored", and "bf16" where the model is not stored so.
inline std::vector<std::string> variants(const std::string& name) {
  std::vector<std::string> found;
  const nlohmann::json doc = read_json(golden_folder(name) / "expected.json");
  for (const auto& [variant, entry] : doc.at("variants").items()) {
    found.push_back(variant);
  }
  return found;
}

inline DecoderSpec golden_spec(const std::string& name) {
  return spec_of(*open_source(golden_folder(name)));
}

// The goldens' own rounding error is known: f32_noise is their largest distance to the same in
// float64. Ours comes from the same float32 operations with the sums in another order (other
// blocks, partial sums of ranks), hence of that size too: the distance is at most 1 + 1 times it
// where both are extreme at the same logit. Another order may be less lucky than theirs, by the
// square root of the length of the sums (8 for 67 terms) were ours added one by one: 1 + 8, rounded
// down to 8. That is 1e-5 of the largest logit, and a hundredth of the gaps that decide the tokens.
inline float tolerance_of(double noise) {
  return static_cast<float>(8 * noise);
}

inline Golden read_golden(const std::string& name, const std::string& variant) {
  using nlohmann::json;
  Golden golden{.folder = golden_folder(name)};
  const json doc = read_json(golden.folder / "expected.json");
  golden.max_context = doc.value("max_context", 0);
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
inline StepPlan plan_of(const Ids& ids, int first, int count, const KvCache& cache) {
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

// The golden's model, imported to `path`.
inline void import_golden(const Golden& golden, const std::string& variant,
                          const std::filesystem::path& path) {
  const auto source = open_source(golden.folder);
  const auto dtype = variant == "bf16" ? std::optional(DType::bf16) : std::nullopt;
  import_model(*source, make_import_job(*source, golden.folder.string(), dtype), path, {});
}

}  // namespace tutti::test
