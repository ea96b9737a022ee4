#include "launch/stop_signals.hpp"

#include <fmt/format.h>

#include <cstring>
#include <iterator>

#include "kernels/error.hpp"

namespace tutti {
namespace {

// Signal handlers reach nothing but statics.
volatile std::sig_atomic_t stopped_by = 0;

extern "C" void tutti_on_stop(int signal) {
  stopped_by = signal;
}

}  // namespace

StopSignals::StopSignals() {
  stopped_by = 0;
  for (std::size_t i = 0; i < std::size(kSignals); ++i) {
    struct sigaction action {};
    action.sa_handler = tutti_on_stop;
    action.sa_flags = SA_RESTART;  // reads and writes go on: the work stops where it checks
    sigemptyset(&action.sa_mask);
    sigaction(kSignals[i], nullptr, &before_[i]);
    if (before_[i].sa_handler != SIG_IGN) {
      sigaction(kSignals[i], &action, nullptr);
    }
  }
}

StopSignals::~StopSignals() {
  for (std::size_t i = 0; i < std::size(kSignals); ++i) {
    sigaction(kSignals[i], &before_[i], nullptr);
  }
}

void StopSignals::check() {
  if (const int signal = stopped_by; signal != 0) {
    throw Error(fmt::format("stopped by signal {} ({})", signal, strsignal(signal)));
  }
}

}  // namespace tutti
