// Random histories of the scheduler, each step checked against everything it promises. The "device"
// remembers what lies in every slot of the cache: not only which token, but behind which others.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "runtime/engine/scheduler.hpp"

namespace tutti {
namespace {

struct Live {
  std::vector<TokenId> tokens;  // prompt and everything sampled so far, heard or not
  std::vector<int> prefixes;    // of each token: the name of all tokens up to it
  int prompt = 0;
  int longest = 0;
  int answer = 0;           // tokens after which it ends, at most longest - prompt
  bool host_drawn = false;  // waits for each of its tokens
  int known = 0;            // as the scheduler must see it
  int told = 0;
  int computed = 0;
  int unheard = 0;
  bool runs = false;
};

struct Totals {
  std::uint64_t steps = 0, preemptions = 0, recomputed = 0, cached = 0;
};

class History {
 public:
  explicit History(unsigned seed) : random_(seed), seed_(seed) {
    limits_.page_size = 1 << pick(0, 4);
    limits_.max_step_tokens = pick(6, 60);
    limits_.max_running = pick(1, 6);
    limits_.prefix_caching = pick(0, 3) > 0;
    pages_ = pick(6, 40);
    device_samples_ = pick(0, 1) == 1;
    kv_.assign(static_cast<std::size_t>(pages_ * limits_.page_size), -1);
    scheduler_.emplace(limits_, pages_);
  }

  void play(Totals& totals) {
    for (int step = 0; added_ < 16 || !live_.empty(); ++step) {
      ASSERT_LT(step, 6000) << "starved with seed " << seed_;
      add_some();
      if (pick(0, 60) == 0 && !live_.empty()) {
        finish(std::next(live_.begin(), pick(0, static_cast<int>(live_.size()) - 1))->first);
      }
      ASSERT_NO_FATAL_FAILURE(next()) << "seed " << seed_ << ", step " << step;
      ++totals.steps;
    }
    ASSERT_EQ(scheduler_->pool().used(), 0) << "pages leaked with seed " << seed_;
    ASSERT_EQ(scheduler_->pool().available(), pages_);
    ASSERT_TRUE(scheduler_->idle());
    const ScheduleCounters& counters = scheduler_->counters();
    ASSERT_EQ(counters.computed_tokens, computed_);
    totals.preemptions += counters.preemptions;
    totals.recomputed += counters.recomputed_tokens;
    totals.cached += counters.cached_tokens;
  }

  const std::vector<ScheduledStep>& steps() const { return steps_; }

 private:
  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  void push(Live& live, TokenId token) {
    const int before = live.prefixes.empty() ? -1 : live.prefixes.back();
    const auto [place, fresh] = prefix_ids_.try_emplace({before, token}, std::ssize(prefix_ids_));
    live.tokens.push_back(token);
    live.prefixes.push_back(place->second);
  }

  // Prompts begin alike for a while, answers of some are the same for long.
  void add_some() {
    while (added_ < 16 && (live_.empty() || pick(0, 3) == 0)) {
      const std::uint64_t id = added_++;
      const int room = pages_ * limits_.page_size;
      const int prompt = pick(1, std::min(room - 1, 90));
      const int most = pick(1, std::min(room - prompt, 60));
      const int kind = pick(0, 2);
      const int alike = pick(0, 100);
      Live live{.prompt = prompt,
                .longest = prompt + most,
                .answer = pick(0, 2) == 0 ? pick(1, most) : most,
                .host_drawn = !device_samples_ || pick(0, 7) == 0,
                .known = prompt,
                .told = prompt};
      for (int i = 0; i < prompt; ++i) {
        push(live, i < alike ? i % 5 : kind);
      }
      scheduler_->add(id, live.tokens, most);
      live_.emplace(id, std::move(live));
    }
  }

  void finish(std::uint64_t id) {
    scheduler_->finish(id);
    live_.erase(id);
  }

  void next() {
    const std::optional<std::uint64_t> due = oldest_that_can_run();
    const ScheduledStep step = scheduler_->next();
    steps_.push_back(step);
    for (const std::uint64_t id : scheduler_->preempted()) {
      live_.at(id).runs = false;
      live_.at(id).computed = 0;
    }
    ASSERT_NO_FATAL_FAILURE(check_chunks(step));
    ASSERT_NO_FATAL_FAILURE(compute(step));
    ASSERT_NO_FATAL_FAILURE(check_pages());
    if (due) {
      ASSERT_TRUE(std::any_of(step.begin(), step.end(),
                              [&](const ScheduledChunk& chunk) { return chunk.id == *due; }))
          << "request " << *due << " came first and does not run";
    }
    const bool ahead = sample(step);
    while (std::ssize(in_flight_) > (ahead ? 1 : 0)) {
      hear_oldest();
    }
  }

  std::optional<std::uint64_t> oldest_that_can_run() const {
    if (live_.empty()) {
      return std::nullopt;
    }
    const auto& [id, live] = *live_.begin();
    const bool can = live.runs ? live.known > live.computed : live.unheard == 0;
    return can ? std::optional(id) : std::nullopt;
  }

  void check_chunks(const ScheduledStep& step) {
    int tokens = 0;
    std::set<std::uint64_t> once;
    for (const ScheduledChunk& chunk : step) {
      const Live& live = live_.at(chunk.id);
      ASSERT_TRUE(once.insert(chunk.id).second);
      ASSERT_GT(chunk.count, 0);
      if (live.runs) {
        ASSERT_EQ(chunk.first, live.computed);
      } else {
        ASSERT_EQ(chunk.first % limits_.page_size, 0);
        ASSERT_TRUE(chunk.first == 0 || limits_.prefix_caching);
      }
      const int end = chunk.first + chunk.count;
      ASSERT_LE(end, live.known);
      ASSERT_EQ(chunk.samples, end == live.known);
      ASSERT_TRUE(end <= live.told || (live.runs && chunk.count == 1))
          << "computes again what the host does not know";
      ASSERT_GE(std::ssize(scheduler_->pages(chunk.id)) * limits_.page_size, end);
      tokens += chunk.count;
    }
    ASSERT_LE(tokens, limits_.max_step_tokens);
    ASSERT_LE(std::ssize(step), limits_.max_running);
    ASSERT_LE(std::ssize(live_), 16);
    computed_ += static_cast<std::uint64_t>(tokens);
  }

  std::size_t slot(std::uint64_t id, int position) const {
    const PageId page =
        scheduler_->pages(id)[static_cast<std::size_t>(position / limits_.page_size)];
    return static_cast<std::size_t>(page * limits_.page_size + position % limits_.page_size);
  }

  // Everything is written before anything is read, as in each layer of a model.
  void compute(const ScheduledStep& step) {
    std::map<PageId, int> held;  // by those that ran before
    for (const auto& [id, live] : live_) {
      for (const PageId page : scheduler_->pages(id)) {
        held[page] += live.runs ? 1 : 0;
      }
    }
    std::set<std::size_t> written;
    for (const ScheduledChunk& chunk : step) {
      Live& live = live_.at(chunk.id);
      for (int position = chunk.first; position < chunk.first + chunk.count; ++position) {
        const std::size_t to = slot(chunk.id, position);
        ASSERT_TRUE(written.insert(to).second) << "slot " << to << " is written twice";
        ASSERT_EQ(held[static_cast<PageId>(to) / limits_.page_size], live.runs ? 1 : 0)
            << "a page that others read is written";
        kv_[to] = live.prefixes[static_cast<std::size_t>(position)];
      }
    }
    for (const ScheduledChunk& chunk : step) {
      Live& live = live_.at(chunk.id);
      live.runs = true;
      live.computed = chunk.first + chunk.count;
      for (int position = 0; position < live.computed; ++position) {
        ASSERT_EQ(kv_[slot(chunk.id, position)], live.prefixes[static_cast<std::size_t>(position)])
            << "request " << chunk.id << " reads other keys at position " << position;
      }
    }
  }

  void check_pages() {
    std::vector<int> users(static_cast<std::size_t>(pages_), 0);
    bool all_before_run = true;
    for (const auto& [id, live] : live_) {
      const std::vector<PageId>& own = scheduler_->pages(id);
      ASSERT_EQ(own.empty(), !live.runs);
      ASSERT_TRUE(all_before_run || own.empty()) << "request " << id << " overtook another";
      all_before_run = !own.empty();
      std::set<PageId> once;
      for (const PageId page : own) {
        ASSERT_TRUE(once.insert(page).second);
        ++users[static_cast<std::size_t>(page)];
      }
    }
    const BlockPool& pool = scheduler_->pool();
    int used = 0;
    for (PageId page = 0; page < pages_; ++page) {
      const int count = users[static_cast<std::size_t>(page)];
      ASSERT_EQ(pool.users(page), count);
      ASSERT_TRUE(count < 2 || limits_.prefix_caching);
      used += count > 0 ? 1 : 0;
    }
    ASSERT_EQ(pool.used(), used);
    ASSERT_EQ(pool.available() + used, pages_);
    ASSERT_LE(pool.cached(), pool.available());
  }

  // As the engine does: what the device draws goes on; what the host draws holds all up.
  bool sample(const ScheduledStep& step) {
    bool ahead = !step.empty();
    in_flight_.emplace_back();
    for (const ScheduledChunk& chunk : step) {
      if (!chunk.samples) {
        continue;
      }
      Live& live = live_.at(chunk.id);
      push(live, static_cast<TokenId>((chunk.id % 3 + live.tokens.size() * 7) % 11 / 5));
      ++live.unheard;
      in_flight_.back().push_back(chunk.id);
      ahead = ahead && !live.host_drawn;
      if (!live.host_drawn && std::ssize(live.tokens) < live.longest) {
        scheduler_->go_ahead(chunk.id);
        ++live.known;
      }
    }
    return ahead;
  }

  void hear_oldest() {
    const std::vector<std::uint64_t> heard = std::move(in_flight_.front());
    in_flight_.pop_front();
    for (const std::uint64_t id : heard) {
      const auto found = live_.find(id);
      if (found == live_.end()) {
        continue;
      }
      Live& live = found->second;
      --live.unheard;
      ++live.told;
      live.known = std::max(live.known, live.told);
      if (live.told == live.prompt + live.answer) {
        finish(id);
      } else {
        scheduler_->hear(id, live.tokens[static_cast<std::size_t>(live.told - 1)]);
      }
    }
  }

  std::mt19937 random_;
  unsigned seed_;
  SchedulerLimits limits_;
  int pages_ = 0;
  bool device_samples_ = false;
  std::optional<Scheduler> scheduler_;
  std::map<std::uint64_t, Live> live_;  // by id, which is the order in which they came
  std::uint64_t added_ = 0;
  std::uint64_t computed_ = 0;
  std::map<std::pair<int, TokenId>, int> prefix_ids_;
  std::vector<int> kv_;  // [slots]: the prefix whose last token was written there
  std::deque<std::vector<std::uint64_t>> in_flight_;
  std::vector<ScheduledStep> steps_;
};

TEST(SchedulerHistories, KeepEveryPromise) {
  Totals totals;
  for (unsigned seed = 0; seed < 3000; ++seed) {
    ASSERT_NO_FATAL_FAILURE(History(seed).play(totals));
  }
  // The histories are worth something only where this happens all the time.
  EXPECT_GT(totals.preemptions, 3000u);
  EXPECT_GT(totals.recomputed, 30000u);
  EXPECT_GT(totals.cached, 100000u);
}

TEST(SchedulerHistories, AreDeterministic) {
  for (unsigned seed = 0; seed < 100; ++seed) {
    Totals totals;
    History first(seed);
    History second(seed);
    ASSERT_NO_FATAL_FAILURE(first.play(totals));
    ASSERT_NO_FATAL_FAILURE(second.play(totals));
    ASSERT_EQ(first.steps(), second.steps()) << seed;
  }
}

}  // namespace
}  // namespace tutti
