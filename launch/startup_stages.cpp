#include "launch/startup_stages.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "runtime/comm/process_look.hpp"

namespace tutti {
namespace {

constexpr std::array<std::string_view, 5> kStages = {"identity", "devices", "communicators",
                                                     "self-test", "weights"};

// "MPI up" and "at work" come before the stages of the first model that a process starts.
constexpr int kStagesOfTheProgram = 2;

}  // namespace

StartupStages::StartupStages(RankState& state, const WatchTimes& times)
    : state_(state), times_(times) {
  if (state.look().number <= kStagesOfTheProgram) {
    seconds_.push_back({.name = "MPI up", .seconds = seconds_since_begin()});
  }
}

void StartupStages::end_stage() {
  if (!stage_.empty()) {
    seconds_.push_back({.name = std::exchange(stage_, ""),
                        .seconds = std::chrono::duration<double>(Clock::now() - begin_).count()});
  }
}

void StartupStages::enter(const std::string& name, double extra) {
  end_stage();
  stage_ = name;
  begin_ = Clock::now();
  const auto more =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(extra));
  const auto* const at = std::find(kStages.begin(), kStages.end(), name);
  state_.enter({.name = name,
                .deadline = times_.startup + more,
                .pace = false,
                .order = static_cast<int>(at - kStages.begin()) + 1});
}

void StartupStages::leave() {
  end_stage();
  state_.enter({.name = "between two stages", .deadline = times_.peer, .pace = true});
}

void StartupStages::enter_first_step() {
  end_stage();
  stage_ = "first step";
  begin_ = Clock::now();
  state_.enter({.name = stage_, .deadline = times_.startup, .pace = true});
}

void StartupStages::run() {
  end_stage();
  state_.enter({.name = "running", .deadline = times_.peer, .pace = true});
}

namespace {

class FirstStep final : public Model {
 public:
  FirstStep(Model& model, StartupStages& stages) : model_(model), stages_(stages) {}

  StepOutput forward(const StepPlan& plan, KvCache& cache) override {
    if (!begun_) {
      begun_ = true;
      stages_.enter_first_step();
    }
    const StepOutput output = model_.forward(plan, cache);
    if (device().place() == Place::host) {
      end();
    }
    return output;
  }
  void wait(DeviceEvent& event) override {
    model_.wait(event);
    if (begun_) {
      end();
    }
  }
  bool samples() const override { return model_.samples(); }
  Device& device() override { return model_.device(); }
  KvLayout kv_layout() const override { return model_.kv_layout(); }
  std::int64_t vocabulary() const override { return model_.vocabulary(); }
  std::int64_t context_length() const override { return model_.context_length(); }
  int max_step_tokens() const override { return model_.max_step_tokens(); }
  int max_logit_rows() const override { return model_.max_logit_rows(); }
  ExpertLoad expert_load() override { return model_.expert_load(); }
  std::size_t weight_bytes() const override { return model_.weight_bytes(); }
  std::size_t workspace_bytes() const override { return model_.workspace_bytes(); }

 private:
  void end() {
    if (!std::exchange(ended_, true)) {
      stages_.run();
    }
  }

  Model& model_;
  StartupStages& stages_;
  bool begun_ = false;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<Model> watch_first_step(Model& model, StartupStages& stages) {
  return std::make_unique<FirstStep>(model, stages);
}

}  // namespace tutti
