// What a scaling run says: a table for a person, an object and lines for machines, a plot, a page.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "launch/bench_scaling.hpp"

namespace tutti {

struct ScalingTable {
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;  // as many cells as the head; '–': not known
  std::vector<std::string> notes;  // rows that do not fit, verdicts, what the marks mean
};

ScalingTable scaling_table(const ScalingReport& report, const ScalingOptions& options);
// "tiny: llama, 1.2 M parameters, bf16, fingerprint …" and what ran, line by line.
std::vector<std::string> scaling_heading(const ScalingReport& report,
                                         const ScalingOptions& options);

std::string scaling_text(const ScalingReport& report, const ScalingOptions& options);
nlohmann::json scaling_json(const ScalingReport& report, const ScalingOptions& options);
// That object as text; bytes that are no UTF-8 (a path may have them) are replaced.
std::string scaling_json_text(const ScalingReport& report, const ScalingOptions& options);
// RFC 4180 with a head; an unknown number is an empty field.
std::string scaling_csv(const ScalingReport& report, const ScalingOptions& options);
std::string scaling_svg(const ScalingReport& report, const ScalingOptions& options);
std::string scaling_html(const ScalingReport& report, const ScalingOptions& options);

// Makes the folder where there is none, and shows that it can be written. Errors: Error.
void prepare_scaling_folder(const std::filesystem::path& folder);
// scaling.json, .csv, .svg and .html; each is replaced as a whole. Errors: Error.
void write_scaling_files(const ScalingReport& report, const ScalingOptions& options);

}  // namespace tutti
