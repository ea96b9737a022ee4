// Where a rank stands among the replicas of a model: the world, cut into groups of tensor-parallel
// ranks that work side by side.
#pragma once

#include <optional>

#include "runtime/comm/mpi_control_plane.hpp"
#include "runtime/comm/mpi_mail.hpp"
#include "runtime/comm/mpi_session.hpp"

namespace tutti {

class ReplicaSeat {
 public:
  // Collective over the world. `wanted`: ranks of one replica; all where it is not said. Errors:
  // AgreedFailure where the world is no multiple of it.
  ReplicaSeat(const MpiSession& mpi, std::optional<int> wanted);

  ControlPlane& world() { return control_; }
  // Those of this rank's replica; the lowest in the world is their root.
  const MpiRanks& ranks() const { return ranks_; }
  int tensor_ranks() const { return tensor_ranks_; }
  int replicas() const { return replicas_; }
  int replica() const { return replica_; }
  // The world's root, which is also that of replica 0.
  bool desk() const { return replica_ == 0 && ranks_.rank() == 0; }
  // Among the replicas' roots, for them alone: an address is the number of a replica.
  Mail& mail() { return mail_; }

 private:
  MpiControlPlane control_;
  int tensor_ranks_;
  int replicas_;
  int replica_;
  MpiRanks ranks_;
  MpiMail mail_;
};

}  // namespace tutti
