// Letters between MPI ranks: how a group finds out which of its ranks no longer answers, and how
// the replicas of a batch share its requests.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "runtime/comm/mail.hpp"
#include "runtime/comm/mpi_group.hpp"

namespace tutti {

// Errors of all calls: CommError with MPI's own text.
class MpiMail final : public Mail {
 public:
  // Collective over the group, which it duplicates. Must end before the MpiSession.
  explicit MpiMail(const MpiGroup& group);
  // Waits until what was posted has left, unless an exception is on its way.
  ~MpiMail() override;
  MpiMail(const MpiMail&) = delete;
  MpiMail& operator=(const MpiMail&) = delete;

  void post(int to, std::string text) override;
  std::optional<Letter> look() override;

 private:
  struct Sent;

  MpiGroup group_;
  std::unique_ptr<Sent> sent_;
};

}  // namespace tutti
