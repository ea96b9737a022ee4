// How long recorded work takes on a device, without what the host adds: what benchmarks time with.
#pragma once

#include <functional>

#include "runtime/device/device.hpp"

namespace tutti {

// Runs `work`, which enqueues on the device, once as it is (what tunes itself does so outside a
// recording), records it and replays it, each time after `before` (a barrier, say). Median seconds
// of `repeats` replays after three that warm up.
double replay_seconds(Device& device, int repeats, const std::function<void()>& work,
                      const std::function<void()>& before = {});

}  // namespace tutti
