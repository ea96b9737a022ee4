#include "runtime/device/replay_time.hpp"

#include <algorithm>
#include <vector>

namespace tutti {

double replay_seconds(Device& device, int repeats, const std::function<void()>& work,
                      const std::function<void()>& before) {
  constexpr int kWarmUps = 3;
  work();
  device.synchronize();
  const std::unique_ptr<DeviceGraph> graph = device.record(work);
  const std::unique_ptr<DeviceEvent> start = device.make_event();
  const std::unique_ptr<DeviceEvent> end = device.make_event();
  std::vector<double> times;
  for (int repeat = 0; repeat < kWarmUps + repeats; ++repeat) {
    if (before) {
      before();
    }
    start->record();
    graph->replay();
    end->record();
    end->wait();
    if (repeat >= kWarmUps) {
      times.push_back(1e-3 * static_cast<double>(end->milliseconds_since(*start)));
    }
  }
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

}  // namespace tutti
