// Which tokens of which requests run in the next step. Pure: no device, no clock, no text.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <unordered_map>
#include <vector>

#include "runtime/cache/block_pool.hpp"
#include "runtime/engine/counters.hpp"
#include "runtime/text/tokenizer.hpp"

namespace tutti {

struct SchedulerLimits {
  int max_step_tokens = 512;
  int max_running = 64;  // requests that hold pages
  int page_size = 16;
  bool prefix_caching = true;
};

// Tokens [first, first + count) of a request; `samples` where they reach its last known token.
struct ScheduledChunk {
  std::uint64_t id = 0;
  int first = 0;
  int count = 0;
  bool samples = false;
  friend bool operator==(const ScheduledChunk&, const ScheduledChunk&) = default;
};

using ScheduledStep = std::vector<ScheduledChunk>;

// First come, first served, on pages that are taken as they are needed.
//
// - A step takes one token of each request that decodes, then fills the token budget with chunks of
//   prompts, in the order in which the requests came.
// - A request is admitted when pages for all tokens it knows are available and one more for each
//   request that runs and may grow, so that those do not run out at once. Nobody overtakes.
// - Who decodes past its last page takes another. Where none is available, the request that came
//   last gives way: its pages go, it is the first that waits, and its tokens are computed again
//   when it is admitted again. The oldest request never gives way, so that everybody's turn comes.
// - With prefix caching a full page is named by the tokens up to its end from the step on that
//   computes it. A request takes the named pages that its tokens begin with instead of computing
//   them, but for its last token, whose logits are wanted.
class Scheduler {
 public:
  Scheduler(const SchedulerLimits& limits, int pages);

  // Errors: ConfigError for an id that is there already; CapacityError where the request would not
  // fit an empty cache (says wanted and found).
  void add(std::uint64_t id, std::span<const TokenId> prompt, int max_new_tokens);
  // The chunks of the next step, counted as computed from here on. Empty when idle, or where
  // nothing can be done before a token is heard.
  ScheduledStep next();
  // Those that gave way in the last next(), the youngest first.
  const std::vector<std::uint64_t>& preempted() const { return preempted_; }

  // The request goes on behind a token that was scheduled to be sampled and is not heard yet: its
  // id reaches the next step on the device.
  void go_ahead(std::uint64_t id);
  // The id of the oldest token sampled for the request and not heard yet.
  void hear(std::uint64_t id, TokenId token);
  // Forgets a waiting or running request and gives up its pages.
  void finish(std::uint64_t id);

  bool idle() const { return entries_.empty(); }
  std::size_t waiting() const { return waiting_.size(); }
  std::size_t running() const { return running_.size(); }
  const std::vector<PageId>& pages(std::uint64_t id) const { return entries_.at(id).pages; }
  const BlockPool& pool() const { return pool_; }
  const ScheduleCounters& counters();

 private:
  struct Entry {
    std::uint64_t id = 0;
    int prompt = 0;
    int most_pages = 0;
    int known = 0;          // tokens there are, on the host or on the device
    int told = 0;           // of those, how many ids the host knows
    int computed = 0;       // of those, how many are in pages or on their way there
    int unheard = 0;        // sampled, or about to be
    int reached = 0;        // the most that was ever computed
    bool admitted = false;  // once at least
    int named = 0;          // pages that were offered to other requests
    std::vector<PageId> pages;
    PageNames names;

    int pending() const { return known - computed; }
    bool grows() const { return std::ssize(pages) < most_pages; }
  };

  int pages_for(int tokens) const;
  void decode(ScheduledStep& step);
  bool admit();
  std::vector<PageId> cached_prefix(const Entry& entry) const;
  bool grow(Entry& entry);
  void give_way(Entry& entry);
  void take(Entry& entry, ScheduledStep& step);
  void offer_pages(Entry& entry);
  void release_pages(Entry& entry);

  SchedulerLimits limits_;
  BlockPool pool_;
  std::unordered_map<std::uint64_t, Entry> entries_;
  std::deque<Entry*> waiting_;   // both in the order in which they came,
  std::vector<Entry*> running_;  // those that run before those that wait
  std::vector<std::uint64_t> preempted_;
  int growing_ = 0;  // of those that run, how many may want another page
  int budget_ = 0;   // tokens that the step still has room for
  ScheduleCounters counters_;
};

}  // namespace tutti
