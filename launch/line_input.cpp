#include "launch/line_input.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "kernels/error.hpp"

namespace tutti {
namespace {

constexpr char kInterrupt = '\x03';

// Signal handlers reach nothing but statics.
volatile std::sig_atomic_t interrupt_raised = 0;
int saved_terminal = -1;
termios saved_settings{};

extern "C" void tutti_on_interrupt(int) {
  interrupt_raised = 1;
}

// Both calls are async-signal-safe.
void restore_terminal() {
  if (saved_terminal >= 0) {
    tcsetattr(saved_terminal, TCSANOW, &saved_settings);
    saved_terminal = -1;
  }
}

extern "C" void tutti_on_terminate(int signal) {
  restore_terminal();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

}  // namespace

InterruptFlag::InterruptFlag() {
  struct sigaction action {};
  action.sa_handler = tutti_on_interrupt;  // no SA_RESTART: a wait for a line ends
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  clear();
}

InterruptFlag::~InterruptFlag() {
  std::signal(SIGINT, SIG_DFL);
}

bool InterruptFlag::raised() {
  return interrupt_raised != 0;
}

void InterruptFlag::clear() {
  interrupt_raised = 0;
}

LineInput::Outcome LineInput::next(std::string& line) {
  while (true) {
    if (take_interrupt()) {
      return Outcome::interrupted;
    }
    if (take_line(line)) {
      return Outcome::line;
    }
    if (ended_) {
      return Outcome::end;
    }
    if (ready(-1)) {  // not so where a signal came
      fill();
    }
  }
}

bool LineInput::interrupted() {
  if (!ended_ && ready(0)) {
    fill();
  }
  return take_interrupt();
}

bool LineInput::ready(int milliseconds) const {
  pollfd waiting{.fd = descriptor_, .events = POLLIN, .revents = 0};
  return poll(&waiting, 1, milliseconds) > 0;
}

bool LineInput::take_line(std::string& line) {
  const std::size_t end = pending_.find('\n');
  if (end == std::string::npos && (!ended_ || pending_.empty())) {
    return false;
  }
  line = pending_.substr(0, end);
  pending_.erase(0, end == std::string::npos ? end : end + 1);
  if (!line.empty() && line.back() == '\r') {
    line.pop_back();
  }
  return true;
}

bool LineInput::take_interrupt() {
  const std::size_t key = pending_.rfind(kInterrupt);
  if (key != std::string::npos) {
    pending_.erase(0, key + 1);  // what was half written goes with it, as at any prompt
  }
  const bool signal = InterruptFlag::raised();
  InterruptFlag::clear();
  return signal || key != std::string::npos;
}

void LineInput::fill() {
  std::array<char, 4096> chunk;
  const ssize_t count = read(descriptor_, chunk.data(), chunk.size());
  if (count > 0) {
    pending_.append(chunk.data(), static_cast<std::size_t>(count));
  } else if (count == 0 || errno == EIO) {  // the end, or the terminal went away
    ended_ = true;
  } else if (errno != EINTR && errno != EAGAIN) {
    throw Error(fmt::format("cannot read standard input: {}", std::strerror(errno)));
  }
}

InterruptKey::InterruptKey(const std::string& terminal) {
  if (terminal.empty()) {
    return;
  }
  const int descriptor = open(terminal.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (descriptor < 0 || tcgetattr(descriptor, &saved_settings) != 0) {
    if (descriptor >= 0) {
      close(descriptor);
    }
    return;
  }
  std::signal(SIGTTOU, SIG_IGN);  // ranks run in the terminal's background
  termios settings = saved_settings;
  settings.c_cc[VINTR] = _POSIX_VDISABLE;
  settings.c_cc[VEOL] = kInterrupt;  // hands the line over at once
  if (tcsetattr(descriptor, TCSANOW, &settings) != 0) {
    close(descriptor);
    return;
  }
  saved_terminal = descriptor;
  std::signal(SIGTERM, tutti_on_terminate);
}

InterruptKey::~InterruptKey() {
  const int descriptor = saved_terminal;
  restore_terminal();
  if (descriptor >= 0) {
    close(descriptor);
    std::signal(SIGTERM, SIG_DFL);
  }
}

}  // namespace tutti
