// What the benchmarks ask of a model: prompts of random tokens, or those of a file.
#pragma once

#include <filesystem>
#include <vector>

#include "runtime/engine/request.hpp"

namespace tutti {

// A request to be made: its prompt, or how long a random one is to be.
struct WorkItem {
  std::vector<TokenId> prompt;  // empty: random
  int prompt_tokens = 0;
  int output_tokens = 0;

  std::int64_t tokens() const { return std::int64_t{prompt_tokens} + output_tokens; }
};

// Tokens drawn from (seed, id): the same on every machine.
std::vector<TokenId> random_prompt(std::uint64_t seed, std::uint64_t id, int tokens,
                                   std::int64_t vocabulary);

// A line of JSON for each request, or one array of them: {"prompt_tokens": N, "output_tokens": N},
// {"prompt": TEXT, "completion": TEXT}, or ShareGPT's {"conversations": [{"value": TEXT}, …]},
// whose first two texts count. Errors: ConfigError that names the line or the entry.
std::vector<WorkItem> read_workload(const std::filesystem::path& path, const Tokenizer& tokenizer);

}  // namespace tutti
