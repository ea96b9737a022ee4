// The only place that catches everything: turns errors into messages and exit codes, and sees to it
// that no rank is left waiting.
#include <csignal>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "launch/commands.hpp"
#include "launch/exit_code.hpp"
#include "launch/output.hpp"
#include "runtime/comm/mpi_session.hpp"

namespace {

using namespace tutti;

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

int report(const std::optional<MpiSession>& mpi, const std::exception_ptr& error) {
  const Failure failure = failure_of(error);
  const int code = static_cast<int>(failure.code);
  if (!mpi) {
    write_message(failure_line(failure.message, {}) + "\n");
    return code;
  }
  if (known_to_all(error)) {
    if (mpi->rank() == 0) {
      write_message(failure_line(failure.message, {}) + "\n");
    }
    return code;
  }
  write_message(failure_line(failure.message,
                             {.host = mpi->host(), .rank = mpi->rank(), .size = mpi->size()}) +
                "\n");
  if (mpi->size() > 1) {
    mpi->abort(code);
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  // A limit on file sizes is to be reported by the write that meets it.
  std::signal(SIGXFSZ, SIG_IGN);
  std::optional<MpiSession> mpi;
  try {
    mpi.emplace(argc, argv);
    return static_cast<int>(run_command_line(*mpi, {argv + 1, argv + argc}));
  } catch (...) {
    return report(mpi, std::current_exception());
  }
}
