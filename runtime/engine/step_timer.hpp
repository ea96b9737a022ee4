// How long the device works on steps and how long it waits between them.
#pragma once

#include <array>
#include <cstddef>
#include <memory>

#include "runtime/device/device.hpp"
#include "runtime/engine/counters.hpp"

namespace tutti {

// Records events in the device's stream and reads them once a step was waited for anyhow, so that
// nothing synchronises for its sake. At most two steps may be on their way.
class StepTimer {
 public:
  explicit StepTimer(Device& device);

  // Around what enqueues a step. `goes_on`: there was work since the step before, so that the time
  // between them is a gap.
  void begin(bool goes_on);
  void end();
  // The oldest step that was not yet counted has been waited for.
  void count(EngineCounters& counters);

 private:
  struct Step {
    std::unique_ptr<DeviceEvent> begin;
    std::unique_ptr<DeviceEvent> end;
    bool goes_on = false;
  };
  Step& step(std::size_t index) { return steps_[index % steps_.size()]; }

  std::array<Step, 3> steps_;  // two on their way, and the one before them
  std::size_t begun_ = 0;
  std::size_t counted_ = 0;
};

}  // namespace tutti
