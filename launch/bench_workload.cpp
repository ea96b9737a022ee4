#include "launch/bench_workload.hpp"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/error.hpp"

namespace tutti {
namespace {

using nlohmann::json;

// SplitMix64 (Steele, Lea, Flood 2014).
std::uint64_t next_random(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15u;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

WorkItem of_texts(const std::string& prompt, const std::string& answer,
                  const Tokenizer& tokenizer) {
  WorkItem item{.prompt = tokenizer.encode(prompt, SpecialTokens::as_text)};
  item.prompt_tokens = static_cast<int>(item.prompt.size());
  item.output_tokens = static_cast<int>(tokenizer.encode(answer, SpecialTokens::as_text).size());
  return item;
}

WorkItem item_of(const json& entry, const Tokenizer& tokenizer) {
  WorkItem item;
  if (entry.contains("conversations")) {
    const json& turns = entry.at("conversations");
    item = of_texts(turns.at(0).at("value"), turns.at(1).at("value"), tokenizer);
  } else if (entry.contains("prompt")) {
    item = of_texts(entry.at("prompt"), entry.at("completion"), tokenizer);
  } else {
    item.prompt_tokens = entry.at("prompt_tokens");
    item.output_tokens = entry.at("output_tokens");
  }
  if (item.prompt_tokens < 1 || item.output_tokens < 1) {
    throw ConfigError(fmt::format("wanted 1 token or more of prompt and answer, found {} and {}",
                                  item.prompt_tokens, item.output_tokens));
  }
  return item;
}

template <typename Parse>
WorkItem checked(const std::filesystem::path& path, const char* what, std::size_t number,
                 const Parse& parse) {
  try {
    return parse();
  } catch (const std::exception& error) {  // of the JSON library, the tokenizer or the lengths
    throw ConfigError(fmt::format("{}, {} {}: {}", path.string(), what, number, error.what()));
  }
}

}  // namespace

std::vector<TokenId> random_prompt(std::uint64_t seed, std::uint64_t id, int tokens,
                                   std::int64_t vocabulary) {
  std::vector<TokenId> prompt;
  std::uint64_t state = seed + id;
  for (int i = 0; i < tokens; ++i) {
    prompt.push_back(
        static_cast<TokenId>(next_random(state) % static_cast<std::uint64_t>(vocabulary)));
  }
  return prompt;
}

std::vector<WorkItem> read_workload(const std::filesystem::path& path, const Tokenizer& tokenizer) {
  std::ifstream file(path);
  std::vector<WorkItem> items;
  if ((file >> std::ws).peek() == '[') {
    json all;
    checked(path, "character", 1, [&] {
      all = json::parse(file);
      return WorkItem();
    });
    for (const json& entry : all) {
      items.push_back(
          checked(path, "entry", items.size() + 1, [&] { return item_of(entry, tokenizer); }));
    }
  } else {
    std::string line;
    for (std::size_t number = 1; std::getline(file, line); ++number) {
      if (line.find_first_not_of(" \t\r") != std::string::npos) {
        items.push_back(
            checked(path, "line", number, [&] { return item_of(json::parse(line), tokenizer); }));
      }
    }
  }
  if (items.empty()) {
    throw ConfigError(fmt::format("{}: wanted a file with requests, found none", path.string()));
  }
  return items;
}

}  // namespace tutti
