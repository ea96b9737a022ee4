// Work that leaves something half-made behind must be told to stop instead of being ended.
#pragma once

#include <csignal>

namespace tutti {

// While it lives, SIGINT, SIGTERM and SIGHUP are remembered instead of ending the process; what was
// ignored before (nohup) stays ignored. One at a time.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // Any thread. Errors: Error, which names the signal, once one has come.
  static void check();

 private:
  static constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction before_[3] = {};
};

}  // namespace tutti
