// Failures that all ranks learn of, so that one of them reports and all leave in order. What fails
// inside a collective cannot be agreed on: `main` ends all ranks then.
#pragma once

#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "launch/exit_code.hpp"
#include "runtime/comm/communicator.hpp"

namespace tutti {

struct RankFailure {
  int rank = 0;
  std::string host;
  Failure failure;
};

// One message for what went wrong on some of `ranks` ranks: plain where all say the same, else with
// the ranks and hosts named. The code is that of the lowest rank. Pure.
Failure joint_failure(const std::vector<RankFailure>& failures, int ranks);

// Collective. Does `work`, which must not communicate; afterwards throws AgreedFailure on every
// rank where it failed on any.
void together(ControlPlane& control, const std::string& host, const std::function<void()>& work);

// Collective. The same for work that communicates within a group of ranks of its own: an
// AgreedFailure of one group becomes everybody's, anything else passes.
void groups_together(ControlPlane& control, const std::string& host,
                     const std::function<void()>& work);

// Collective. Does `work`, which must not communicate, on rank 0; what it throws is thrown as
// AgreedFailure on every rank.
void on_root(ControlPlane& control, const std::function<void()>& work);

// For work whose outcome is the same on every rank by its nature; it may communicate. A ConfigError
// or ModelFileError becomes an AgreedFailure; anything else (a lost peer, no memory) may have come
// to this rank alone and passes.
void alike(const std::function<void()>& work);

// Collective. One plain struct of each rank, in rank order.
template <typename T>
std::vector<T> gather(ControlPlane& control, const T& mine) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<T> all;
  for (const auto& bytes : control.all_gather(std::as_bytes(std::span(&mine, 1)))) {
    std::memcpy(&all.emplace_back(), bytes.data(), sizeof(T));
  }
  return all;
}

// Collective. The root's number on every rank.
std::int64_t from_root(ControlPlane& control, std::int64_t number);

}  // namespace tutti
