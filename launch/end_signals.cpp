#include "launch/end_signals.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstring>
#include <iterator>

namespace tutti {
namespace {

// Signal handlers reach nothing but statics.
volatile std::sig_atomic_t first_signal = 0;
volatile std::sig_atomic_t interrupts = 0;

extern "C" void tutti_on_end(int signal) {
  constexpr int kInterrupted = 130;
  if (signal == SIGINT) {
    interrupts = interrupts + 1;
    if (interrupts > 1) {
      _exit(kInterrupted);  // what was written stays; the next run goes on from there
    }
  }
  if (first_signal == 0) {
    first_signal = signal;
  }
}

}  // namespace

EndSignals::EndSignals() {
  first_signal = 0;
  interrupts = 0;
  for (std::size_t i = 0; i < std::size(kSignals); ++i) {
    struct sigaction action {};
    action.sa_handler = tutti_on_end;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(kSignals[i], nullptr, &before_[i]);
    if (before_[i].sa_handler != SIG_IGN) {
      sigaction(kSignals[i], &action, nullptr);
    }
  }
}

EndSignals::~EndSignals() {
  for (std::size_t i = 0; i < std::size(kSignals); ++i) {
    if (kSignals[i] == SIGUSR1 && before_[i].sa_handler == SIG_DFL) {
      before_[i].sa_handler = SIG_IGN;
    }
    sigaction(kSignals[i], &before_[i], nullptr);
  }
}

std::optional<int> EndSignals::came() {
  const int signal = first_signal;
  return signal == 0 ? std::optional<int>() : signal;
}

std::string EndSignals::name_of(int signal) {
  const char* name = sigabbrev_np(signal);
  return name == nullptr ? fmt::format("signal {}", signal) : fmt::format("SIG{}", name);
}

}  // namespace tutti
