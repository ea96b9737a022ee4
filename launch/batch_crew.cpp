#include "launch/batch_crew.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <iterator>
#include <numeric>
#include <thread>
#include <utility>

#include "kernels/error.hpp"

namespace tutti {

void Nap::sleep() {
  rest();
  std::this_thread::sleep_for(next_);
  next_ = std::min(2 * next_, kLongest);
}

void Nap::rest() {
  if (state_ != nullptr && !std::exchange(rests_, true)) {
    state_->rest_for("requests");
  }
}

void Nap::reset() {
  next_ = kFirst;
  if (std::exchange(rests_, false)) {
    state_->rest_for("");
  }
}

bool MailTime::come() {
  constexpr std::chrono::milliseconds kBetween{1};
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) {
    return false;
  }
  next_ = now + kBetween;
  return true;
}

BatchCrew::BatchCrew(BatchWorker& own, Mail* mail, int replicas)
    : own_(own),
      mail_(mail),
      others_(static_cast<std::size_t>(replicas - 1)),
      loads_(static_cast<std::size_t>(replicas)) {}

std::optional<int> BatchCrew::hungriest() const {
  std::optional<int> best;
  const auto consider = [&](std::size_t replica) {
    const Load& load = loads_[replica];
    if (!best || load < loads_[static_cast<std::size_t>(*best)]) {
      best = static_cast<int>(replica);
    }
  };
  if (own_.room() > 0) {
    consider(0);
  }
  for (std::size_t i = 0; i < others_.size(); ++i) {
    if (others_[i].asked == 0) {
      return std::nullopt;
    }
    if (!others_[i].gone && loads_[i + 1].given < others_[i].asked) {
      consider(i + 1);
    }
  }
  return best;
}

void BatchCrew::give(int replica, BatchItem item) {
  const auto samples = static_cast<std::uint64_t>(item.request.samples);
  Load& load = loads_.at(static_cast<std::size_t>(replica));
  load.held += samples;
  load.given += samples;
  if (replica == 0) {
    own_.take(std::move(item));
    return;
  }
  mail_->post(replica, text_of(DeskLetter{.item = std::move(item), .word = {}}));
}

void BatchCrew::tell(DeskWord word) {
  if (word == DeskWord::drain) {
    own_.drain();
  } else {
    own_.cancel();
  }
  for (std::size_t i = 0; i < others_.size(); ++i) {
    if (!others_[i].gone) {
      mail_->post(static_cast<int>(i) + 1, text_of(DeskLetter{.item = {}, .word = word}));
    }
  }
}

std::uint64_t BatchCrew::held() const {
  return std::accumulate(loads_.begin(), loads_.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const Load& load) { return sum + load.held; });
}

// The next letter; whose it is, or nothing where none has come.
std::optional<int> BatchCrew::receive(ReplicaNews& news) {
  const std::optional<Letter> letter = mail_ != nullptr ? mail_->look() : std::nullopt;
  if (!letter) {
    return std::nullopt;
  }
  news = replica_news(letter->text);
  Other& other = others_.at(static_cast<std::size_t>(letter->from - 1));
  other.asked = news.state.asked;
  other.gone = news.gone;
  return letter->from;
}

void BatchCrew::hear(const std::function<void(int replica, const ReplicaNews& news)>& listen) {
  const auto pass_on = [&](int replica, const ReplicaNews& news) {
    for (const BatchOutcome& outcome : news.outcomes) {
      loads_[static_cast<std::size_t>(replica)].held -= outcome.samples;
    }
    listen(replica, news);
  };
  pass_on(0, own_.news());
  if (!mail_time_.come()) {
    return;
  }
  ReplicaNews news;
  while (const std::optional<int> replica = receive(news)) {
    if (!news.failure.empty()) {
      throw Error(fmt::format("replica {} has failed: {}", *replica, news.failure));
    }
    pass_on(*replica, news);
  }
}

void BatchCrew::dismiss(const std::function<void(int replica, const ReplicaNews& news)>& listen) {
  const auto all_gone = [&] {
    return std::all_of(others_.begin(), others_.end(), [](const Other& o) { return o.gone; });
  };
  if (all_gone()) {
    return;
  }
  tell(DeskWord::leave);
  Nap nap;
  while (!all_gone()) {
    ReplicaNews news;
    if (const std::optional<int> replica = receive(news)) {
      listen(*replica, news);
    } else {
      nap.sleep();
    }
  }
}

namespace {

// Tells the desk what it wants to know, when it does.
class Reporter {
 public:
  Reporter(BatchWorker& worker, Mail& mail) : worker_(worker), mail_(mail) {}

  void keep(ReplicaNews news) {
    std::move(news.outcomes.begin(), news.outcomes.end(), std::back_inserter(kept_.outcomes));
    kept_.state = news.state;
  }
  void signal(int word) { kept_.signal = word; }

  void look() {
    keep(worker_.news());
    // Room for a single sample more is not worth a letter, unless nothing waits.
    const bool hungry =
        kept_.state.asked > told_.asked && kept_.state.asked - told_.asked >= kept_.state.waiting;
    const bool stale =
        Clock::now() - last_ >= kBetweenNews && kept_.state.engine.steps != told_.engine.steps;
    if (!kept_.outcomes.empty() || kept_.signal || hungry || stale) {
      post();
    }
  }
  void leave(std::string failure) {
    keep(worker_.news());
    kept_.gone = true;
    kept_.failure = std::move(failure);
    post();
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kBetweenNews{500};

  void post() {
    told_ = kept_.state;
    last_ = Clock::now();
    mail_.post(0, text_of(std::exchange(kept_, {})));
  }

  BatchWorker& worker_;
  Mail& mail_;
  ReplicaNews kept_;
  ReplicaState told_;
  Clock::time_point last_;
};

// False where this was the last word.
bool obey(DeskLetter letter, BatchWorker& worker) {
  if (letter.item) {
    worker.take(std::move(*letter.item));
  }
  if (letter.word == DeskWord::drain) {
    worker.drain();
  } else if (letter.word == DeskWord::cancel) {
    worker.cancel();
  }
  return letter.word != DeskWord::leave;
}

void serve_desk(BatchWorker& worker, ControlPlane& control, Mail& mail,
                const std::function<std::optional<int>()>& signal, RankState* state,
                Reporter& reporter) {
  bool told = false;  // of a signal: the first one is enough
  Nap nap(state);
  MailTime mail_time;
  while (true) {
    bool quiet = true;
    const bool look = mail_time.come();
    while (const std::optional<Letter> letter = look ? mail.look() : std::nullopt) {
      quiet = false;
      nap.reset();
      if (!obey(desk_letter(letter->text), worker)) {
        return;
      }
    }
    while (const std::optional<int> word = look ? control.notified() : std::nullopt) {
      reporter.signal(*word);
    }
    if (const auto own = signal && !told ? signal() : std::nullopt) {
      told = true;
      reporter.signal(*own);
    }
    const bool worked = worker.step();
    reporter.look();
    if (!worked && quiet) {
      nap.sleep();
    }
  }
}

}  // namespace

void attend_desk(BatchWorker& worker, ControlPlane& control, Mail& mail,
                 const std::function<std::optional<int>()>& signal, RankState* state) {
  Reporter reporter(worker, mail);
  std::string failure;
  try {
    serve_desk(worker, control, mail, signal, state, reporter);
  } catch (const std::exception& error) {
    if (!worker.mid_step()) {
      reporter.leave(error.what());
    }
    throw;
  }
  reporter.leave({});
}

}  // namespace tutti
