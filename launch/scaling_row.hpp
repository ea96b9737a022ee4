// One row of tutti bench scaling, as a rank that takes part in it sees it.
#pragma once

#include "launch/bench_scaling.hpp"

namespace tutti {

// Model, communicators and control planes live during measure() only: the next row finds the
// devices empty.
class ScalingMember {
 public:
  // Collective over `active`, the ranks of all groups of the row; `group`: this rank's.
  ScalingMember(const MpiRanks& active, int group, const ScalingShape& shape,
                const ScalingOptions& options);

  // Collective over `active`. Fills the row; complete on the first rank of group 0. Returns a
  // failure that all of `active` agree on. What befalls one of several replicas while all are
  // measured is thrown: nobody could tell the others.
  std::optional<Failure> measure(ScalingRow& row);

  // Of this rank, once its session has begun; else empty.
  const std::string& device() const { return device_; }
  const std::string& uuid() const { return uuid_; }
  const std::optional<ModelIdentity>& identity() const { return identity_; }  // as loaded

 private:
  bool replicas() const { return shape_.replicas > 1; }
  void agree(const std::optional<Failure>& own);
  void work(ScalingRow& row, std::optional<Session>& session);
  void add_up(const ThroughputResult& result, ScalingRow& row);

  const MpiRanks& active_;
  const ScalingShape shape_;
  const ScalingOptions& options_;
  const int number_;  // of the group
  MpiRanks group_;
  MpiControlPlane control_;  // of `active`
  MpiRanks first_;  // the first ranks of all groups, among themselves; the others are apart
  MpiControlPlane first_control_;
  bool agreed_ = false;            // that all groups have loaded, or that they give up
  bool failure_is_joint_ = false;  // while they say so to one another
  std::string device_;
  std::string uuid_;
  std::optional<ModelIdentity> identity_;
};

}  // namespace tutti
