// The report of `tutti doctor`, for people and for machines.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "launch/doctor_diagnose.hpp"

namespace tutti {

// Ranks, versions, links, times; at the end the verdict, a line for each finding, worst first.
std::string doctor_text(const Examination& found, const std::vector<Finding>& findings);
nlohmann::json doctor_json(const Examination& found, const std::vector<Finding>& findings);

}  // namespace tutti
