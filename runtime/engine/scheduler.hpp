// Which tokens of which requests run in the next step. Pure: no device, no clock, no text.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "runtime/cache/block_pool.hpp"

namespace tutti {

struct SchedulerLimits {
  int max_step_tokens = 512;
  int max_running = 64;  // requests that hold pages
  int page_size = 16;
};

// Tokens [first, first + count) of a request; `samples` where they reach its last known token.
struct ScheduledChunk {
  std::uint64_t id = 0;
  int first = 0;
  int count = 0;
  bool samples = false;
};

using ScheduledStep = std::vector<ScheduledChunk>;

// First come, first served. A request is admitted when pages for its prompt and its longest answer
// are free, so that it never has to give way. Every step takes one token of each request that
// decodes, then fills the token budget with prompt chunks in order of admission.
class Scheduler {
 public:
  Scheduler(const SchedulerLimits& limits, int pages);

  // Errors: ConfigError for an id that is there already; CapacityError where the request would not
  // fit an empty cache (says wanted and found).
  void add(std::uint64_t id, int prompt_tokens, int max_new_tokens);
  // The chunks of the next step, counted as computed from here on. Empty when idle.
  ScheduledStep next();
  // One more token of the request is known.
  void append(std::uint64_t id);
  // Forgets a waiting or running request and frees its pages.
  void finish(std::uint64_t id);

  bool idle() const { return waiting_.empty() && running_.empty(); }
  std::size_t waiting() const { return waiting_.size(); }
  std::size_t running() const { return running_.size(); }
  const std::vector<PageId>& pages(std::uint64_t id) const { return entries_.at(id).pages; }
  int free_pages() const { return pool_.available(); }

 private:
  struct Entry {
    int known = 0;     // tokens whose ids are known
    int computed = 0;  // of those, how many the cache holds
    int longest = 0;   // prompt and answer
    std::vector<PageId> pages;
  };
  void admit();
  int pages_for(int tokens) const;

  SchedulerLimits limits_;
  BlockPool pool_;
  std::map<std::uint64_t, Entry> entries_;
  std::deque<std::uint64_t> waiting_;
  std::vector<std::uint64_t> running_;  // in order of admission
};

}  // namespace tutti
