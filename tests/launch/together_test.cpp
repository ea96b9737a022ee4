#include "launch/together.hpp"

#include <gtest/gtest.h>

#include <mutex>
#include <new>

#include "kernels/error.hpp"
#include "runtime/comm/thread_group.hpp"

namespace tutti {
namespace {

TEST(JointFailure, IsSaidOnceWhereAllSayTheSame) {
  const Failure same{ExitCode::model_file, "m.h5: gone"};
  const Failure joint = joint_failure({{0, "a", same}, {1, "b", same}}, 2);
  EXPECT_EQ(joint.message, "m.h5: gone");
  EXPECT_EQ(joint.code, ExitCode::model_file);
}

TEST(JointFailure, NamesTheRankThatFailedAlone) {
  const Failure joint = joint_failure({{2, "n3", {ExitCode::does_not_fit, "too big"}}}, 4);
  EXPECT_EQ(joint.message, "rank 2 of 4 on n3: too big");
  EXPECT_EQ(joint.code, ExitCode::does_not_fit);
}

TEST(JointFailure, NamesAFewOfMany) {
  std::vector<RankFailure> failures;
  for (int rank = 0; rank < 9; ++rank) {
    failures.push_back({rank, "n", {ExitCode::failed, "no " + std::to_string(rank)}});
  }
  const std::string message = joint_failure(failures, 16).message;
  EXPECT_NE(message.find("rank 3 of 16"), std::string::npos);
  EXPECT_EQ(message.find("rank 4 of 16"), std::string::npos);
  EXPECT_NE(message.find("and 5 ranks more"), std::string::npos);
}

TEST(Together, AllRanksLearnOfAFailureOnOne) {
  std::mutex mutex;
  int told = 0;
  run_ranks(3, [&](int rank, Communicator&, ControlPlane& control) {
    try {
      together(control, "host", [&] {
        if (rank == 1) {
          throw ModelFileError("cut short");
        }
      });
    } catch (const AgreedFailure& agreed) {
      const std::lock_guard lock(mutex);
      EXPECT_EQ(agreed.failure.message, "rank 1 of 3 on host: cut short");
      EXPECT_EQ(agreed.failure.code, ExitCode::model_file);
      ++told;
    }
  });
  EXPECT_EQ(told, 3);
}

// Leaving in order would wait for a peer that is gone.
TEST(Alike, ALostPeerIsNoAgreedFailure) {
  EXPECT_THROW(alike([] { throw CommError("peer gone"); }), CommError);
  EXPECT_THROW(alike([] { throw std::bad_alloc(); }), std::bad_alloc);
}

TEST(Alike, WhatEveryRankFindsIsAgreed) {
  EXPECT_THROW(alike([] { throw ConfigError("no"); }), AgreedFailure);
  EXPECT_THROW(alike([] { throw CapacityError("large"); }), AgreedFailure);
  EXPECT_THROW(alike([] { throw ModelFileError("gone"); }), AgreedFailure);
}

TEST(OnRoot, AllRanksLearnOfItsFailure) {
  run_ranks(3, [](int rank, Communicator&, ControlPlane& control) {
    try {
      on_root(control, [&] {
        EXPECT_EQ(rank, 0);
        throw CapacityError("large");
      });
      ADD_FAILURE() << "rank " << rank << " did not learn of it";
    } catch (const AgreedFailure& agreed) {
      EXPECT_EQ(agreed.failure.message, "large");
      EXPECT_EQ(agreed.failure.code, ExitCode::does_not_fit);
    }
  });
}

TEST(Together, SucceedsWhereAllDo) {
  run_ranks(3, [](int rank, Communicator&, ControlPlane& control) {
    together(control, "host", [] {});
    const std::vector<int> ranks = gather(control, rank);
    EXPECT_EQ(ranks, (std::vector<int>{0, 1, 2}));
    EXPECT_EQ(from_root(control, rank == 0 ? 77 : 0), 77);
  });
}

TEST(GroupsTogether, AllRanksLearnWhatOneGroupAgreedOn) {
  std::mutex mutex;
  int told = 0;
  run_ranks(4, [&](int rank, Communicator&, ControlPlane& control) {
    try {
      groups_together(control, "host", [&] {
        if (rank >= 2) {
          throw AgreedFailure({ExitCode::does_not_fit, "too big"});
        }
      });
    } catch (const AgreedFailure& agreed) {
      const std::lock_guard lock(mutex);
      EXPECT_EQ(agreed.failure.message, "too big");
      EXPECT_EQ(agreed.failure.code, ExitCode::does_not_fit);
      ++told;
    }
  });
  EXPECT_EQ(told, 4);
}

TEST(GroupsTogether, WhatAGroupHasNotAgreedOnPasses) {
  run_ranks(1, [](int, Communicator&, ControlPlane& control) {
    EXPECT_THROW(groups_together(control, "host", [] { throw Error("mine alone"); }), Error);
  });
}

}  // namespace
}  // namespace tutti
