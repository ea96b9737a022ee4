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

void Scheduler::add(std::uint64_t id, std::span<const TokenId> prompt, int max_new_tokens) {
  const auto length = static_cast<int>(prompt.size());
  const int longest = length + max_new_tokens;
  if (pages_for(longest) > pool_.size()) {
    throw CapacityError(
        fmt::format("request {} wants room for {} tokens ({} of prompt, {} of answer), the KV "
                    "cache has room for {}: raise --context or lower --max-tokens",
                    id, longest, length, max_new_tokens, pool_.size() * limits_.page_size));
  }
  const auto [place, fresh] =
      entries_.try_emplace(id, Entry{.id = id,
                                     .prompt = length,
                                     .most_pages = pages_for(longest),
                                     .known = length,
                                     .told = length,
                                     .names = PageNames(limits_.page_size)});
  if (!fresh) {
    throw ConfigError(fmt::format("request {} was submitted twice", id));
  }
  if (limits_.prefix_caching) {
    place->second.names.append(prompt);
  }
  waiting_.push_back(&place->second);
}

ScheduledStep Scheduler::next() {
  ScheduledStep step;
  preempted_.clear();
  budget_ = limits_.max_step_tokens;
  decode(step);
  for (Entry* entry : running_) {
    if (entry->pending() > 0) {  // those that decode have been served
      take(*entry, step);
    }
  }
  while (preempted_.empty() && budget_ > 0 && admit()) {
    take(*running_.back(), step);
  }
  return step;
}

// Whoever gives way comes behind those that were served already.
void Scheduler::decode(ScheduledStep& step) {
  for (std::size_t i = 0; i < running_.size(); ++i) {
    Entry& entry = *running_[i];
    if (entry.pending() == 1 && grow(entry)) {
      take(entry, step);
    }
  }
}

// Room for one more token. False where the request gave way itself.
bool Scheduler::grow(Entry& entry) {
  if (pages_for(entry.computed + 1) <= std::ssize(entry.pages)) {
    return true;
  }
  while (pool_.available() == 0) {
    Entry& youngest = *running_.back();
    give_way(youngest);
    if (&youngest == &entry) {
      return false;
    }
  }
  entry.pages.push_back(pool_.allocate());
  growing_ -= entry.grows() ? 0 : 1;
  return true;
}

void Scheduler::give_way(Entry& entry) {
  release_pages(entry);
  entry.computed = 0;
  running_.pop_back();
  waiting_.push_front(&entry);
  preempted_.push_back(entry.id);
  ++counters_.preemptions;
}

// The first that waits gets its pages. False where it has to wait on.
bool Scheduler::admit() {
  if (waiting_.empty() || std::ssize(running_) >= limits_.max_running) {
    return false;
  }
  Entry& entry = *waiting_.front();
  // A token that is still on the device only cannot be computed again.
  if (entry.unheard > 0 || pool_.available() <= growing_) {
    return false;
  }
  const std::vector<PageId> cached = cached_prefix(entry);
  const auto woken = std::count_if(cached.begin(), cached.end(),
                                   [this](PageId page) { return pool_.users(page) == 0; });
  const int fresh = pages_for(entry.known) - static_cast<int>(cached.size());
  if (fresh + woken + growing_ > pool_.available()) {
    return false;
  }
  for (const PageId page : cached) {
    pool_.share(page);
  }
  entry.pages = cached;
  for (int i = 0; i < fresh; ++i) {
    entry.pages.push_back(pool_.allocate());
  }
  growing_ += entry.grows() ? 1 : 0;
  entry.named = static_cast<int>(cached.size());
  entry.computed = entry.named * limits_.page_size;
  if (!entry.admitted) {
    counters_.prompt_tokens += static_cast<std::uint64_t>(entry.prompt);
    counters_.cached_tokens += static_cast<std::uint64_t>(entry.computed);
    entry.admitted = true;
  }
  waiting_.pop_front();
  running_.push_back(&entry);
  return true;
}

// The pages that its tokens begin with, as far as they are there and leave one token to compute.
std::vector<PageId> Scheduler::cached_prefix(const Entry& entry) const {
  std::vector<PageId> pages;
  const std::vector<PageName>& names = entry.names.full();
  const auto most = static_cast<std::size_t>((entry.known - 1) / limits_.page_size);
  while (pages.size() < std::min(most, names.size())) {
    const auto page = pool_.find(names[pages.size()]);
    if (!page) {
      break;
    }
    pages.push_back(*page);
  }
  return pages;
}

void Scheduler::take(Entry& entry, ScheduledStep& step) {
  const int count = std::min(entry.pending(), budget_);
  if (count == 0) {
    return;
  }
  const bool samples = count == entry.pending();
  step.push_back({.id = entry.id, .first = entry.computed, .count = count, .samples = samples});
  budget_ -= count;
  const int again = std::clamp(entry.reached - entry.computed, 0, count);
  entry.computed += count;
  entry.reached = std::max(entry.reached, entry.computed);
  entry.unheard += samples ? 1 : 0;
  counters_.computed_tokens += static_cast<std::uint64_t>(count);
  counters_.recomputed_tokens += static_cast<std::uint64_t>(again);
  offer_pages(entry);
}

// Gives full pages their names. The step that computes them may share them already: in each layer
// all its keys and values are in the pages before its attention begins, and later steps follow it.
void Scheduler::offer_pages(Entry& entry) {
  if (!limits_.prefix_caching) {
    return;
  }
  const int full = std::min(entry.computed, entry.told) / limits_.page_size;
  for (; entry.named < full; ++entry.named) {
    const auto index = static_cast<std::size_t>(entry.named);
    pool_.name(entry.pages[index], entry.names.full()[index]);
  }
}

// The last page first: a page is of use only with those before it, and should go before them.
void Scheduler::release_pages(Entry& entry) {
  growing_ -= !entry.pages.empty() && entry.grows() ? 1 : 0;
  while (!entry.pages.empty()) {
    pool_.release(entry.pages.back());
    entry.pages.pop_back();
  }
}

void Scheduler::go_ahead(std::uint64_t id) {
  ++entries_.at(id).known;
}

void Scheduler::hear(std::uint64_t id, TokenId token) {
  Entry& entry = entries_.at(id);
  --entry.unheard;
  ++entry.told;
  entry.known = std::max(entry.known, entry.told);
  if (limits_.prefix_caching) {
    entry.names.append(token);
    offer_pages(entry);
  }
}

void Scheduler::finish(std::uint64_t id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) {
    return;
  }
  release_pages(found->second);
  if (std::erase(running_, &found->second) == 0) {
    std::erase(waiting_, &found->second);
  }
  entries_.erase(found);
}

const ScheduleCounters& Scheduler::counters() {
  counters_.pages = pool_.size();
  counters_.used_pages = pool_.used();
  counters_.cached_pages = pool_.cached();
  return counters_;
}

}  // namespace tutti
