// A question to `tutti plan` as tests put it.
#pragma once

#include "launch/plan_counts.hpp"

namespace tutti::test {

inline const std::vector<GpuKind>& known_kinds() {
  static const std::vector<GpuKind> kinds = load_gpus("launch/gpus.json");
  return kinds;
}

inline const GpuKind& kind(std::string_view name) {
  return gpu_named(known_kinds(), name);
}

inline PlanQuestion question(const std::string& shape, std::vector<int> ranks = {}) {
  PlanQuestion result{.model = planned_model(shape, {}), .ranks = std::move(ranks)};
  result.context = result.model.spec.context_length;
  return result;
}

}  // namespace tutti::test
