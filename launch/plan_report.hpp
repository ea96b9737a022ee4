// What a plan says: tables for a person, an object for a machine.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "launch/plan_counts.hpp"

namespace tutti {

// One kind of device: counts, ranks of the counts that were asked for (else of the smallest that
// fits), prediction with its constants.
std::string plan_text(const PlanQuestion& question, const DevicePlan& plan);
nlohmann::json plan_json(const PlanQuestion& question, const DevicePlan& plan);

// Several kinds beside each other, a row each.
std::string kinds_text(const PlanQuestion& question, const std::vector<DevicePlan>& plans);
nlohmann::json kinds_json(const PlanQuestion& question, const std::vector<DevicePlan>& plans);

}  // namespace tutti
