// Signals that ask a batch to come to an end in order.
#pragma once

#include <csignal>
#include <optional>
#include <string>

namespace tutti {

// While it lives, SIGTERM, SIGINT, SIGHUP and SIGUSR1 are remembered instead of ending the process;
// what was ignored before (nohup) stays ignored. A second SIGINT ends it at once, with code 130.
// Afterwards SIGUSR1 is ignored: it asks for an end, and the work is done.
// One at a time.
class EndSignals {
 public:
  EndSignals();
  ~EndSignals();
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;

  // Any thread. The first of them that has come.
  static std::optional<int> came();
  static std::string name_of(int signal);  // "SIGTERM"

 private:
  static constexpr int kSignals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
  struct sigaction before_[4] = {};
};

}  // namespace tutti
