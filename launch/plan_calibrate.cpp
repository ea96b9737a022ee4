#include "launch/plan_calibrate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "kernels/error.hpp"
#include "runtime/weights/input.hpp"

namespace tutti {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLargestReport = 64 << 20;
constexpr std::int64_t kLongPrompt = 512;
constexpr std::int64_t kFewRequests = 16;

class Calibration {
 public:
  Calibration(const json& report, SpeedCase& wanted) : report_(report), wanted_(wanted) {}

  double number(const char* field) const { return report_.at(field).get<double>(); }
  int ranks() const { return std::max(1, report_.at("ranks").get<int>()); }

  void set(double SpeedConstants::*member, std::string_view name, double value) {
    wanted_.constants.*member = value;
    changed_.push_back(fmt::format("{} {:.4g}", name, value));
  }

  void machine() {
    const double read = number("read_bytes_per_second") / ranks() / 1e9;
    if (read > 0) {
      set(&SpeedConstants::read_gbs, "read_gbs", read);
    }
    const double library = number("library_flop_per_second") / ranks() / 1e12;
    const std::int64_t tokens =
        report_.at("prompt_tokens").get<std::int64_t>() * report_.at("batch").get<std::int64_t>();
    if (library > 0 && tokens >= kLongPrompt) {
      set(&SpeedConstants::tflops, "tflops", library);
    }
  }

  // What the step took, beside what its parts are predicted to take.
  void step(const ShardPlan& plan, Link link) {
    SpeedCase measured = wanted_;
    measured.batch = report_.at("batch").get<std::int64_t>();
    measured.prompt_tokens = report_.at("prompt_tokens").get<std::int64_t>();
    measured.new_tokens = report_.at("new_tokens").get<std::int64_t>();
    const double sums = number("collective_seconds_per_step");
    const StepTime predicted = decode_step(measured, plan, link);
    const auto layers = static_cast<double>(wanted_.spec.layers);
    if (sums > 0 && plan.ranks() > 1) {
      start_of_sums((sums - predicted.sums) / (2 * layers + 1), link);
    }
    const double taken = number_of("seconds_per_token", "p50");
    const double others = predicted.products + predicted.cache + predicted.small;
    const double between = taken - others - sums - wanted_.constants.step_us * 1e-6;
    set(&SpeedConstants::layer_us, "layer_us", std::max(0.0, between / layers * 1e6));
  }

  void link() {
    const json* longest = nullptr;
    for (const json& one : report_.at("cases")) {
      const bool sum = one.at("what").get<std::string>().find("reduce") != std::string::npos;
      if (sum && (longest == nullptr || one.at("bytes") >= longest->at("bytes"))) {
        longest = &one;
      }
    }
    if (longest != nullptr) {
      set(&SpeedConstants::link_gbs, "link_gbs", longest->at("busbw_gb_per_second").get<double>());
    }
  }

  std::string changed() const { return fmt::format("{}", fmt::join(changed_, ", ")); }

 private:
  double number_of(const char* object, const char* field) const {
    return report_.at(object).at(field).get<double>();
  }
  void start_of_sums(double more, Link link) {
    const auto member = link == Link::nvlink    ? &SpeedConstants::sum_us
                        : link == Link::network ? &SpeedConstants::network_us
                                                : &SpeedConstants::nccl_us;
    const std::string_view name = link == Link::nvlink    ? "sum_us"
                                  : link == Link::network ? "network_us"
                                                          : "nccl_us";
    set(member, name, std::max(0.0, wanted_.constants.*member + more * 1e6));
  }

  const json& report_;
  SpeedCase& wanted_;
  std::vector<std::string> changed_;
};

void use_report(Calibration& calibration, const json& report, const PlannedModel& model,
                const SpeedCase& wanted, int gpus_per_node, Link link) {
  const std::string kind = report.at("benchmark").get<std::string>();
  if (kind == "collectives") {
    calibration.link();
    return;
  }
  if (kind != "latency") {
    throw ModelFileError(
        fmt::format("is of bench {}, wanted one of bench latency or collectives", kind));
  }
  calibration.machine();
  const bool same = report.at("model").at("parameters").get<std::uint64_t>() == model.parameters;
  if (same && report.at("batch").get<std::int64_t>() <= kFewRequests) {
    const ShardPlan plan(wanted.spec.shard_shape(), calibration.ranks());
    calibration.step(plan, calibration.ranks() > gpus_per_node ? Link::network : link);
  }
}

}  // namespace

std::string calibrate(const std::filesystem::path& file, const PlannedModel& model,
                      SpeedCase& wanted, int gpus_per_node, Link link) {
  const std::string text = read_text(file, kLargestReport);
  try {
    const json report = json::parse(text);
    Calibration calibration(report, wanted);
    use_report(calibration, report, model, wanted, gpus_per_node, link);
    if (calibration.changed().empty()) {
      throw ModelFileError("holds nothing to calibrate by");
    }
    return calibration.changed();
  } catch (const json::exception& error) {
    throw ModelFileError(fmt::format("{}: is no report of tutti bench latency --json: {}",
                                     file.string(), error.what()));
  } catch (const ModelFileError& error) {
    throw ModelFileError(fmt::format("{}: {}", file.string(), error.what()));
  }
}

}  // namespace tutti
