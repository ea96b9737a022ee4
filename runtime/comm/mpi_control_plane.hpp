// Plans, ids and fingerprints among MPI ranks.
#pragma once

#include "runtime/comm/collective_call.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/comm/mpi_group.hpp"

namespace tutti {

// A rank that waits looks without a break for about a millisecond, so that no decode step is
// delayed, and then sleeps between looks, at most a millisecond at a time.
class MpiControlPlane final : public ControlPlane {
 public:
  // Collective over the group, which it duplicates. Must end before the MpiSession.
  explicit MpiControlPlane(const MpiGroup& group)
      : group_(group.duplicate()), words_(group.duplicate()) {}
  ~MpiControlPlane() override;

  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }

  // Along a binomial tree, one message an edge whatever the length; up to 2^31 - 1 bytes.
  void broadcast(std::vector<std::byte>& bytes, int root) override;
  std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> bytes) override;
  void barrier() override;
  void notify_root(int word) override;
  std::optional<int> notified() override;

 private:
  CollectiveCall next(std::string_view collective);
  void receive(const CollectiveCall& call, std::vector<std::byte>& bytes, int from);

  MpiGroup group_;
  MpiGroup words_;  // to the root, which never meet the messages of a collective
  std::uint64_t sequence_ = 0;
};

}  // namespace tutti
