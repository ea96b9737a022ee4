#include "runtime/engine/step_timer.hpp"

#include <algorithm>

namespace tutti {

StepTimer::StepTimer(Device& device) {
  for (Step& step : steps_) {
    step.begin = device.make_event();
    step.end = device.make_event();
  }
}

void StepTimer::begin(bool goes_on) {
  Step& next = step(begun_);
  next.goes_on = goes_on && begun_ > 0;
  next.begin->record();
}

void StepTimer::end() {
  step(begun_).end->record();
  ++begun_;
}

void StepTimer::count(EngineCounters& counters) {
  const Step& done = step(counted_);
  counters.device_seconds += 1e-3 * static_cast<double>(done.end->milliseconds_since(*done.begin));
  if (done.goes_on) {
    const Step& before = step(counted_ + steps_.size() - 1);
    const double gap = 1e-3 * static_cast<double>(done.begin->milliseconds_since(*before.end));
    counters.gap_seconds += gap;
    counters.longest_gap_seconds = std::max(counters.longest_gap_seconds, gap);
  }
  ++counted_;
}

}  // namespace tutti
