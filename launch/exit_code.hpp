// How a run ends: the code that scripts look at, and the line that people read (docs/errors.md).
#pragma once

#include <exception>
#include <string>
#include <string_view>

namespace tutti {

enum class ExitCode : int {
  fine = 0,
  failed = 1,
  usage = 2,         // usage or configuration
  model_file = 3,    // a model file or an import source
  does_not_fit = 4,  // the memory of a rank
  peer = 5,          // a peer, a link or a device
  again = 75,        // ended early; the next run goes on where this one ended (EX_TEMPFAIL)
};

// Where the program runs, for messages. size 0: not known yet.
struct Whereabouts {
  std::string host;
  int rank = 0;
  int size = 0;
  std::string stage = {};
};

struct Failure {
  ExitCode code = ExitCode::failed;
  std::string message;
};

// Kind and text of any exception.
Failure failure_of(const std::exception_ptr& error);

// "tutti: rank 1 on node7: stage: message", or "tutti: message" where nobody else runs.
std::string failure_line(std::string_view message, const Whereabouts& where);

// A failure that every rank has already heard of: rank 0 reports it and all leave in order.
struct AgreedFailure : std::exception {
  explicit AgreedFailure(Failure failure_in) : failure(std::move(failure_in)) {}
  const char* what() const noexcept override { return failure.message.c_str(); }
  Failure failure;
};

}  // namespace tutti
