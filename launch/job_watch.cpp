#include "launch/job_watch.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "launch/end_signals.hpp"
#include "launch/exit_code.hpp"
#include "launch/output.hpp"
#include "launch/sibling_ranks.hpp"
#include "runtime/comm/mpi_control_plane.hpp"

namespace tutti {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLeastGrace{500};
constexpr milliseconds kMostGrace{3000};
constexpr milliseconds kTimeToSpeak{2000};

std::string host_name() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

// Signal handlers reach nothing but statics.
volatile std::sig_atomic_t terminated = 0;

extern "C" void tutti_on_term(int) {
  terminated = 1;
}

// Where nobody else minds SIGTERM it ends the process a moment later, when the watch has looked
// whether it comes because a rank is gone.
void catch_sigterm() {
  struct sigaction before {};
  if (sigaction(SIGTERM, nullptr, &before) == 0 && before.sa_handler == SIG_DFL) {
    struct sigaction action {};
    action.sa_handler = tutti_on_term;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, nullptr);
  }
}

}  // namespace

std::string trouble_line(const PeerTrouble& trouble) {
  return fmt::format("tutti: {}: {}: {}\n", trouble.who, trouble.stage, trouble.cause);
}

MpiGuard::MpiGuard(const WatchTimes& times)
    : watchdog_({.poll = [] { return std::string(); },
                 .progress = [] { return "MPI does not return"; },
                 .abort = [] {},
                 .report =
                     [](const std::string& why) {
                       const std::vector<SiblingRank> siblings = sibling_ranks();
                       if (!speaks_first(siblings)) {
                         std::this_thread::sleep_for(kTimeToSpeak);
                       }
                       write_message(trouble_line(missing_siblings(siblings, host_name(), why)));
                       std::_Exit(static_cast<int>(ExitCode::peer));
                     }},
                {.wait_deadline = times.startup, .abort_deadline = kLeastGrace}) {}

JobWatch::JobWatch(const MpiSession& mpi, const WatchTimes& times) : mpi_(mpi), times_(times) {
  RankState& state = mpi.state();
  state.enter({.name = "MPI up", .deadline = times.startup, .pace = false, .order = 0});
  if (mpi.size() > 1) {
    catch_sigterm();
  }
  PeerWatch::Hooks hooks{
      .trouble = [this](const PeerTrouble& trouble) { end_job(trouble); },
      .slow = [](const std::string& text) { write_message("tutti: warning: " + text + "\n"); },
      .told_to_end = [] { return terminated != 0 || EndSignals::came() == SIGTERM; },
      .ends = [] { return terminated != 0; },
      .end =
          [] {
            std::signal(SIGTERM, SIG_DFL);
            ::kill(::getpid(), SIGTERM);
          }};
  const milliseconds grace =
      std::clamp(std::min(times.startup, times.peer) / 4, kLeastGrace, kMostGrace);
  watch_ = std::make_unique<PeerWatch>(mpi.ranks(), mpi.many_threads(), std::move(hooks),
                                       PeerWatch::Times{.grace = grace, .rest = times.peer});
  state.report_to([this](const std::string& why) {
    if (!mpi_.state().ending()) {
      const PeerTrouble trouble = watch_->trouble_behind(why);
      watch_->say_farewell();
      end_job(trouble);
    }
  });
}

JobWatch::~JobWatch() {
  mpi_.state().report_to(nullptr);
}

void JobWatch::end_job(const PeerTrouble& trouble) {
  write_message(trouble_line(trouble));
  mpi_.abort(mpi_.state().failure_code());
}

void JobWatch::end() {
  mpi_.state().enter({.name = "the end", .deadline = times_.peer});
  MpiControlPlane(mpi_.world()).barrier();
  watch_->stop();
}

}  // namespace tutti
