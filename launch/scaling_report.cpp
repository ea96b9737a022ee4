#include "launch/scaling_report.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "launch/build_info.hpp"
#include "launch/identity_banner.hpp"
#include "launch/job_facts.hpp"
#include "launch/scaling_figures.hpp"

namespace tutti {
namespace {

using nlohmann::json;

json or_null(std::optional<double> number) {
  return number ? json(*number) : json(nullptr);
}

json throughput_json_of(const ScalingRow& row) {
  const Summary& speed = row.output_speed;
  return {{"mean", speed.mean},
          {"least", speed.least},
          {"most", speed.most},
          {"spread", speed.spread()},
          {"repeats", row.speeds}};
}

json latency_json_of(const ScalingRow& row) {
  const std::optional<Interval> token = token_seconds_of(row);
  if (!token) {
    return nullptr;
  }
  return {{"p50", token->value}, {"least", token->least}, {"most", token->most}};
}

json row_json(const ScalingReport& report, const ScalingRow& row, const ScalingPrice& price) {
  json object = {{"name", row.shape.name()},
                 {"ranks", row.shape.ranks},
                 {"replicas", row.shape.replicas},
                 {"gpus", row.shape.all_ranks()},
                 {"fits", row.fits()},
                 {"predicted", nullptr},
                 {"model", model_json(report.model, report.architecture)},
                 {"devices", device_names(report.job.ranks)}};
  if (row.predicted) {
    object["predicted"] = {{"output_tokens_per_second", or_null(predicted_speed_of(row))},
                           {"seconds_per_token", or_null(predicted_token_seconds_of(row))}};
  }
  if (!row.fits()) {
    object["why_not"] = row.why_not;
    return object;
  }
  const std::optional<Interval> cost = cost_of(row, price);
  object["backend"] = row.backend;
  object["output_tokens_per_second"] = throughput_json_of(row);
  object["output_tokens_per_second_per_gpu"] = or_null(speed_per_gpu(row));
  object["efficiency"] = or_null(efficiency_of(report, row));
  object["seconds_per_token"] = latency_json_of(row);
  object["first_token_seconds"] = row.latency ? json(row.latency->first_token.mean) : json(nullptr);
  object["collective_share"] = or_null(collective_share_of(row));
  object["load_seconds"] = row.load_seconds;
  object["cost_per_million_output_tokens"] =
      or_null(cost ? std::optional(cost->value) : std::nullopt);
  return object;
}

json devices_json(const ScalingReport& report) {
  json devices = json::array();
  for (const std::string& device : report.devices) {
    devices.push_back(device.empty() ? json(nullptr) : json(device));
  }
  return devices;
}

json workloads_json(const ScalingOptions& options) {
  const ThroughputOptions& work = options.throughput;
  return {{"throughput",
           {{"requests", work.requests},
            {"input_tokens", work.input_tokens},
            {"output_tokens", work.output_tokens},
            {"max_running", work.max_running},
            {"file", work.workload.empty() ? json(nullptr) : json(work.workload.string())},
            {"temperature", work.sampling.temperature}}},
          {"latency",
           {{"batch", options.latency.batch},
            {"prompt_tokens", options.latency.prompt_tokens},
            {"new_tokens", options.latency.new_tokens}}},
          {"repeats", work.repeats},
          {"seed", work.seed}};
}

// As RFC 4180 has it.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) {
    return text;
  }
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += c == '"' ? "\"\"" : std::string(1, c);
  }
  return quoted + "\"";
}

std::string csv_number(std::optional<double> number) {
  return number ? fmt::format("{}", *number) : "";
}

std::optional<double> part(const std::optional<Interval>& interval, double Interval::*member) {
  return interval ? std::optional((*interval).*member) : std::nullopt;
}

std::vector<std::string> csv_row(const ScalingReport& report, const ScalingRow& row,
                                 const ScalingPrice& price) {
  const std::optional<Interval> speed = speed_of(row);
  const std::optional<Interval> token = token_seconds_of(row);
  return {row.shape.name(),
          fmt::to_string(row.shape.ranks),
          fmt::to_string(row.shape.replicas),
          fmt::to_string(row.shape.all_ranks()),
          row.fits() ? "1" : "0",
          csv_number(part(speed, &Interval::value)),
          csv_number(part(speed, &Interval::least)),
          csv_number(part(speed, &Interval::most)),
          csv_number(speed_per_gpu(row)),
          csv_number(efficiency_of(report, row)),
          csv_number(part(token, &Interval::value)),
          csv_number(part(token, &Interval::least)),
          csv_number(part(token, &Interval::most)),
          csv_number(collective_share_of(row)),
          row.fits() ? fmt::to_string(row.load_seconds) : "",
          csv_number(part(cost_of(row, price), &Interval::value)),
          price.unit,
          csv_number(predicted_speed_of(row)),
          csv_number(predicted_token_seconds_of(row)),
          report.model.name,
          report.model.fingerprint,
          fmt::to_string(report.model.parameters),
          report.model.dtype,
          report.devices.empty() ? "" : report.devices[0],
          row.why_not};
}

constexpr std::string_view kCsvHead =
    "row,ranks,replicas,gpus,fits,output_tokens_per_second,least,most,"
    "output_tokens_per_second_per_gpu,efficiency,seconds_per_token_p50,seconds_per_token_least,"
    "seconds_per_token_most,collective_share,load_seconds,cost_per_million_output_tokens,cost_unit,"
    "predicted_output_tokens_per_second,predicted_seconds_per_token,model,fingerprint,parameters,"
    "dtype,device,why_not\r\n";

}  // namespace

json scaling_json(const ScalingReport& report, const ScalingOptions& options) {
  json object = {
      {"benchmark", "scaling"},
      {"tutti", version()},
      {"command", options.command},
      {"model", model_json(report.model, report.architecture)},
      {"job", job_json(report.job)},
      {"world", report.hosts.size()},
      {"hosts", report.hosts},
      {"devices", devices_json(report)},
      {"workload", workloads_json(options)},
      {"price", {{"per_gpu_hour", options.price.per_gpu_hour}, {"unit", options.price.unit}}},
      {"rows", json::array()},
      {"verdicts", json::object()}};
  std::set<int> counts;
  for (const ScalingRow& row : report.rows) {
    counts.insert(row.shape.ranks);
    object["rows"].push_back(row_json(report, row, options.price));
  }
  object["counts"] = counts;
  for (const ScalingGoal goal : kScalingGoals) {
    const Verdict verdict = verdict_on(report, goal, options.price);
    object["verdicts"][std::string(name_of(goal))] = {
        {"best", verdict.best ? json(report.rows[*verdict.best].shape.name()) : json(nullptr)},
        {"certain", verdict.certain},
        {"text", verdict.text}};
  }
  return object;
}

std::string scaling_json_text(const ScalingReport& report, const ScalingOptions& options) {
  return scaling_json(report, options).dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string scaling_csv(const ScalingReport& report, const ScalingOptions& options) {
  std::string text(kCsvHead);
  for (const ScalingRow& row : report.rows) {
    std::vector<std::string> fields;
    for (const std::string& field : csv_row(report, row, options.price)) {
      fields.push_back(csv_field(field));
    }
    text += fmt::format("{}\r\n", fmt::join(fields, ","));
  }
  return text;
}

}  // namespace tutti
