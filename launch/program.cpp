#include "launch/program.hpp"

#include <csignal>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "launch/commands.hpp"
#include "launch/exit_code.hpp"
#include "launch/job_watch.hpp"
#include "launch/output.hpp"
#include "runtime/comm/mpi_session.hpp"

namespace tutti {
namespace {

// All ranks know of these: one of them says it.
bool known_to_all(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const UsageError&) {
    return true;
  } catch (const AgreedFailure&) {
    return true;
  } catch (...) {
    return false;
  }
}

// Its stages have deadlines of their own.
bool watches_itself(const std::vector<std::string>& arguments) {
  return !arguments.empty() && arguments.front() == "doctor";
}

// The code of this process; does not come back where the others have to be ended.
int report(const MpiSession* mpi, JobWatch* watch, const std::exception_ptr& error) {
  const Failure failure = failure_of(error);
  const bool known = mpi != nullptr && failure.code == ExitCode::peer;
  const int code = known ? mpi->state().failure_code() : static_cast<int>(failure.code);
  if (mpi == nullptr || mpi->size() == 1) {
    write_message(failure_line(failure.message, {}) + "\n");
    return code;
  }
  if (known_to_all(error)) {
    if (mpi->rank() == 0) {
      write_message(failure_line(failure.message, {}) + "\n");
    }
    return code;
  }
  if (watch != nullptr) {
    if (failure.code == ExitCode::peer) {  // which may be what the end of another one looks like
      watch->leave_word_to_others();
    }
    watch->say_farewell();
  }
  write_message(failure_line(failure.message, {.host = mpi->host(),
                                               .rank = mpi->rank(),
                                               .size = mpi->size(),
                                               .stage = mpi->state().look().stage.name}) +
                "\n");
  mpi->abort(code);
}

int run(const MpiSession& mpi, const WatchTimes& times, MpiGuard& guard,
        const std::vector<std::string>& arguments) {
  std::optional<JobWatch> watch;
  int code = 0;
  try {
    if (!watches_itself(arguments)) {
      watch.emplace(mpi, times);
    }
    guard.watch("");
    code = static_cast<int>(run_command_line(mpi, arguments));
  } catch (...) {
    code = report(&mpi, watch ? &*watch : nullptr, std::current_exception());
  }
  if (watch) {
    watch->end();
  }
  return code;
}

}  // namespace

int run_program(int argc, char** argv, const std::function<void(const MpiSession&)>& started) {
  // A limit on file sizes is to be reported by the write that meets it.
  std::signal(SIGXFSZ, SIG_IGN);
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const WatchTimes times = watch_times(arguments);
  try {
    MpiGuard guard(times);
    guard.watch("MPI to start");
    const MpiSession mpi(argc, argv);
    if (started) {
      started(mpi);
    }
    const int code = run(mpi, times, guard, arguments);
    guard.watch("MPI to end");
    return code;
  } catch (...) {
    return report(nullptr, nullptr, std::current_exception());
  }
}

}  // namespace tutti
