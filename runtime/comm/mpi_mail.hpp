// Letters between MPI ranks that nobody has to wait for: what a group uses to find out which of its
// ranks no longer answers.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "runtime/comm/mpi_group.hpp"

namespace tutti {

struct Letter {
  int from = 0;
  std::string text;
};

// Errors of all calls: CommError with MPI's own text. Letters of one rank come in order.
class MpiMail {
 public:
  // Collective over the group, which it duplicates. Must end before the MpiSession.
  explicit MpiMail(const MpiGroup& group);
  // Waits until what was posted has left, unless an exception is on its way.
  ~MpiMail();
  MpiMail(const MpiMail&) = delete;
  MpiMail& operator=(const MpiMail&) = delete;

  // Not collective, returns at once; long letters move on while this rank looks.
  void post(int to, std::string text);
  // Not collective, waits for nobody. The next letter that has come, from any rank.
  std::optional<Letter> look();

 private:
  struct Sent;

  MpiGroup group_;
  std::unique_ptr<Sent> sent_;
};

}  // namespace tutti
