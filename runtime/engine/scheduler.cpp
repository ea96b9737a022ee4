#include "runtime/engine/scheduler.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/error.hpp"

namespace tutti {

Scheduler::Scheduler(const SchedulerLimits& limits, int pages) : limits_(limits), pool_(pages) {
  if (limits.max_step_tokens < limits.max_running) {
    throw ConfigError(
        fmt::format("a step of {} tokens cannot hold one token of each of {} requests",
                    limits.max_step_tokens, limits.max_running));
  }
}

int Scheduler::pages_for(int tokens) const {
  return (tokens + limits_.page_size - 1) / limits_.page_size;
}

void Scheduler::add(std::uint64_t id, int prompt_tokens, int max_new_tokens) {
  const Entry entry{.known = prompt_tokens, .longest = prompt_tokens + max_new_tokens};
  if (pages_for(entry.longest) > pool_.size()) {
    throw CapacityError(fmt::format(
        "request {} wants room for {} tokens ({} of prompt, {} of answer), the KV "
        "cache has room for {}: raise --context or lower --max-tokens",
        id, entry.longest, prompt_tokens, max_new_tokens, pool_.size() * limits_.page_size));
  }
  if (!entries_.emplace(id, entry).second) {
    throw ConfigError(fmt::format("request {} was submitted twice", id));
  }
  waiting_.push_back(id);
}

void Scheduler::admit() {
  while (!waiting_.empty() && static_cast<int>(running_.size()) < limits_.max_running) {
    Entry& entry = entries_.at(waiting_.front());
    const int wanted = pages_for(entry.longest);
    if (wanted > pool_.available()) {
      return;  // nobody overtakes: the oldest request must not starve
    }
    for (int i = 0; i < wanted; ++i) {
      entry.pages.push_back(pool_.allocate());
    }
    running_.push_back(waiting_.front());
    waiting_.pop_front();
  }
}

ScheduledStep Scheduler::next() {
  admit();
  ScheduledStep step;
  int budget = limits_.max_step_tokens;
  const auto take = [&](bool decoding) {
    for (const std::uint64_t id : running_) {
      Entry& entry = entries_.at(id);
      const int pending = entry.known - entry.computed;
      if (pending == 0 || budget == 0 || (pending == 1) != decoding) {
        continue;
      }
      const int count = std::min(pending, budget);
      step.push_back(
          {.id = id, .first = entry.computed, .count = count, .samples = count == pending});
      budget -= count;
    }
  };
  take(true);
  take(false);
  for (const ScheduledChunk& chunk : step) {
    entries_.at(chunk.id).computed += chunk.count;
  }
  return step;
}

void Scheduler::append(std::uint64_t id) {
  ++entries_.at(id).known;
}

void Scheduler::finish(std::uint64_t id) {
  const auto entry = entries_.find(id);
  if (entry == entries_.end()) {
    return;
  }
  for (const PageId page : entry->second.pages) {
    pool_.release(page);
  }
  entries_.erase(entry);
  std::erase(running_, id);
  std::erase(waiting_, id);
}

}  // namespace tutti
