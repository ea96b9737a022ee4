#include "models/rope_scaling_json.hpp"

#include <fmt/format.h>

#include "models/json_fields.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr const char* kWithin = "rope_scaling.";

// Calls visit(field, member) for what the kind uses.
template <typename Visit>
void for_each_field(const std::string& kind, const Visit& visit) {
  if (kind == "linear" || kind == "llama3" || kind == "yarn") {
    visit("factor", &RopeScaling::factor);
  }
  if (kind == "llama3") {
    visit("low_freq_factor", &RopeScaling::low_freq_factor);
    visit("high_freq_factor", &RopeScaling::high_freq_factor);
  }
  if (kind == "llama3" || kind == "yarn" || kind == "longrope") {
    visit("original_context", &RopeScaling::original_context);
  }
  if (kind == "yarn") {
    visit("beta_fast", &RopeScaling::beta_fast);
    visit("beta_slow", &RopeScaling::beta_slow);
  }
  if (kind == "yarn" || kind == "longrope") {
    visit("attention_factor", &RopeScaling::attention_factor);
  }
}

template <typename Visit>
void for_each_list(const std::string& kind, const Visit& visit) {
  if (kind == "factors" || kind == "longrope") {
    visit("factors", &RopeScaling::factors);
  }
  if (kind == "longrope") {
    visit("long_factors", &RopeScaling::long_factors);
  }
}

}  // namespace

json scaling_to_json(const RopeScaling& scaling) {
  json out{{"kind", scaling.kind}};
  const auto write = [&](const char* field, auto member) { out[field] = scaling.*member; };
  for_each_field(scaling.kind, write);
  for_each_list(scaling.kind, write);
  return out;
}

RopeScaling scaling_from_json(const json& config) {
  RopeScaling scaling;
  read_field(config, "kind", scaling.kind, kWithin);
  for_each_field(scaling.kind, [&](const char* field, double RopeScaling::*member) {
    read_field(config, field, scaling.*member, kWithin);
    require_positive(fmt::format("{}{}", kWithin, field).c_str(), scaling.*member);
  });
  for_each_list(scaling.kind, [&](const char* field, auto member) {
    read_field(config, field, scaling.*member, kWithin);
  });
  if (scaling.kind == "llama3" && !(scaling.high_freq_factor > scaling.low_freq_factor)) {
    throw ModelFileError(
        fmt::format("config: field 'rope_scaling.high_freq_factor' is {}, wanted more than "
                    "low_freq_factor, {}",
                    scaling.high_freq_factor, scaling.low_freq_factor));
  }
  return scaling;
}

}  // namespace tutti
