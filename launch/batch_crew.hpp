// The replicas of a batch. As its desk sees them: that of the desk's own process by calls, the
// others by letters; and the other end of those letters.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "launch/batch_letters.hpp"
#include "launch/batch_worker.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/comm/mail.hpp"
#include "runtime/comm/rank_state.hpp"

namespace tutti {

// How long to sleep while nothing comes: soon again at first, then longer. Meanwhile the rank
// rests, so that nobody takes it for late.
class Nap {
 public:
  // `state`, which is borrowed, may be null.
  explicit Nap(RankState* state = nullptr) : state_(state) {}
  ~Nap() { reset(); }
  Nap(const Nap&) = delete;
  Nap& operator=(const Nap&) = delete;

  void sleep();
  void rest();  // where something else sleeps
  void reset();

 private:
  static constexpr std::chrono::microseconds kFirst{50};
  static constexpr std::chrono::microseconds kLongest{2000};
  RankState* state_;
  std::chrono::microseconds next_ = kFirst;
  bool rests_ = false;
};

// When to look for letters beside work: a look costs a rank on an overfull node its core.
class MailTime {
 public:
  // At most once a millisecond.
  bool come();

 private:
  std::chrono::steady_clock::time_point next_;
};

// Replica 0 is the own one; replica r has address r in the mail.
class BatchCrew {
 public:
  // Borrows both. `mail` may be null where there is one replica.
  BatchCrew(BatchWorker& own, Mail* mail, int replicas);

  int size() const { return static_cast<int>(others_.size()) + 1; }
  // Of the replicas that want another request the one that holds the fewest samples. Nothing where
  // none does, or where one has not yet said that it is there: the first requests are for all.
  std::optional<int> hungriest() const;
  void give(int replica, BatchItem item);
  // To all.
  void tell(DeskWord word);
  // Samples that were given and have not come back.
  std::uint64_t held() const;

  // Collective over the own replica: a step of its engine; false where there is nothing to do.
  bool step() { return own_.step(); }
  bool mid_step() const { return own_.mid_step(); }
  // What has come: of the own replica each time, of others now and then, where they wrote. Errors:
  // Error where one has failed.
  void hear(const std::function<void(int replica, const ReplicaNews& news)>& listen);
  // Sends the others away and waits until they have gone: `listen` hears their last news.
  void dismiss(const std::function<void(int replica, const ReplicaNews& news)>& listen);

 private:
  struct Other {
    std::uint64_t asked = 0;
    bool gone = false;
  };
  // Samples of one replica. The less has precedence.
  struct Load {
    std::uint64_t held = 0;   // given, and not come back
    std::uint64_t given = 0;  // in all
    friend auto operator<=>(const Load&, const Load&) = default;
  };
  std::optional<int> receive(ReplicaNews& news);

  BatchWorker& own_;
  Mail* mail_;
  std::vector<Other> others_;  // [replica - 1]
  std::vector<Load> loads_;    // [replica]
  MailTime mail_time_;
};

// What a replica's root does that is not the desk's: serves the desk until that sends it away.
// `signal`: of this process, asked once a step; those of the replica's other ranks come by
// `control`. What it throws, the desk has been told of, unless the engine is in a step. `state` may
// be null.
void attend_desk(BatchWorker& worker, ControlPlane& control, Mail& mail,
                 const std::function<std::optional<int>()>& signal, RankState* state = nullptr);

}  // namespace tutti
