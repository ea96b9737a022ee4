#include "launch/batch_desk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernels/error.hpp"
#include "launch/end_signals.hpp"

namespace tutti {
namespace {

// While nobody has anything to do: how soon signals and input are looked at again.
constexpr std::chrono::milliseconds kIdleLook{20};

}  // namespace

BatchDesk::BatchDesk(BatchCrew& crew, ControlPlane& control, BatchSource& source,
                     BatchOutput& output, BatchMonitor& monitor, BatchModel model,
                     BatchDeskOptions options)
    : crew_(crew),
      control_(control),
      source_(source),
      output_(output),
      monitor_(monitor),
      model_(std::move(model)),
      options_(std::move(options)),
      states_(static_cast<std::size_t>(crew.size())),
      nap_(options_.state),
      start_(Clock::now()) {
  status_.replicas.resize(states_.size());
}

void BatchDesk::run() {
  const auto state_only = [this](int replica, const ReplicaNews& news) {
    states_[static_cast<std::size_t>(replica)] = news.state;
  };
  try {
    work();
    output_.sync();
  } catch (...) {
    if (!crew_.mid_step()) {  // else this process ends the job
      crew_.dismiss(state_only);
    }
    throw;
  }
  crew_.dismiss(state_only);
  if (input_failure_) {
    std::rethrow_exception(input_failure_);
  }
}

void BatchDesk::work() {
  while (true) {
    crew_.hear([this](int replica, const ReplicaNews& news) { hear(replica, news); });
    look_for_reasons_to_stop();
    if (stopped_by_.empty()) {
      deal();
    } else if (Clock::now() >= grace_end_ && !std::exchange(cancelled_, true)) {
      crew_.tell(DeskWord::cancel);
    }
    output_.write_out();
    if (crew_.held() == 0 && (!stopped_by_.empty() || input_ended())) {
      return;
    }
    if (crew_.step()) {
      nap_.reset();
    } else {
      wait();
    }
    if (monitor_.due()) {
      monitor_.look(status());
    }
  }
}

// For the input where nobody has anything to do, else for news.
void BatchDesk::wait() {
  if (crew_.held() == 0 && crew_.hungriest()) {
    nap_.rest();
    source_.wait(kIdleLook);
  } else {
    nap_.sleep();
  }
}

void BatchDesk::look_for_reasons_to_stop() {
  while (const std::optional<int> word = control_.notified()) {
    stop(fmt::format("{} on another rank", EndSignals::name_of(*word)));
  }
  if (const auto signal = options_.signal ? options_.signal() : std::nullopt) {
    stop(EndSignals::name_of(*signal));
  }
  if (options_.stop_at && Clock::now() >= *options_.stop_at) {
    stop("the time limit");
  }
}

// Begins no more, lets those that have begun come to their end for a while. Whoever sent the
// signal may lose patience at once: all that is finished goes to the disk first.
void BatchDesk::stop(const std::string& why) {
  if (!stopped_by_.empty()) {
    return;
  }
  stopped_by_ = why;
  grace_end_ = Clock::now() + options_.grace;
  output_.sync();
  source_.stop();
  crew_.tell(DeskWord::drain);
  std::uint64_t draining = 0;
  for (const ReplicaState& state : states_) {
    draining += state.begun;
  }
  monitor_.say(fmt::format("tutti: {}: no more requests are begun, {} that have begun get {:.0f} s",
                           why, draining, std::chrono::duration<double>(options_.grace).count()));
}

// An input that breaks off is told when what it gave is answered.
bool BatchDesk::input_ended() {
  try {
    return source_.ended();
  } catch (const Error&) {
    input_failure_ = std::current_exception();
    return true;
  }
}

void BatchDesk::deal() {
  while (const std::optional<int> replica = crew_.hungriest()) {
    std::optional<BatchItem> item = source_.take();
    if (!item) {
      return;
    }
    if (item->again) {
      tell_again(item->request);
    }
    if (item->refusal) {
      refuse(*item);
    } else {
      crew_.give(*replica, std::move(*item));
    }
  }
}

void BatchDesk::tell_again(const BatchRequest& request) {
  constexpr std::uint64_t kNamed = 3;
  if (++told_again_ <= kNamed) {
    monitor_.say(fmt::format("'{}' (line {}) is not what an earlier run answered: once more{}",
                             request.custom_id, request.line,
                             told_again_ == kNamed ? "; and so on" : ""));
  }
}

void BatchDesk::refuse(const BatchItem& item) {
  output_.append({.custom_id = {},
                  .id = hash_of_id(item.request.custom_id),
                  .request = item.hash,
                  .error = true},
                 error_record(model_, item.request, item.hash, *item.refusal));
  ++status_.errors;
  status_.again += item.again ? 1 : 0;
}

void BatchDesk::hear(int replica, const ReplicaNews& news) {
  const auto index = static_cast<std::size_t>(replica);
  states_[index] = news.state;
  if (replica != 0) {
    nap_.reset();
  }
  for (const BatchOutcome& outcome : news.outcomes) {
    settle(outcome, status_.replicas[index]);
  }
  if (news.signal) {
    stop(fmt::format("{} on another rank", EndSignals::name_of(*news.signal)));
  }
}

void BatchDesk::settle(const BatchOutcome& outcome, ReplicaShare& share) {
  if (outcome.kind == BatchOutcome::Kind::cancelled) {
    ++status_.cancelled;
    return;
  }
  const bool refused = outcome.kind == BatchOutcome::Kind::refused;
  if (refused && output_.known(outcome.mark.id, outcome.mark.request) == BatchOutput::Known::same) {
    ++skipped_late_;
    return;
  }
  output_.append(outcome.mark, outcome.record);
  status_.again += outcome.again ? 1 : 0;
  if (refused) {
    ++status_.errors;
    return;
  }
  ++status_.answered;
  status_.prompt_tokens += outcome.prompt_tokens;
  status_.output_tokens += outcome.output_tokens;
  status_.latency.add(outcome.seconds);
  status_.first_token.add(outcome.first_token_seconds);
  ++share.answered;
  share.prompt_tokens += outcome.prompt_tokens;
  share.output_tokens += outcome.output_tokens;
}

BatchStatus BatchDesk::status() const {
  BatchStatus status = status_;
  const BatchSourceCounts counts = source_.counts();
  status.read = counts.lines;
  status.skipped = counts.skipped + skipped_late_;
  const BatchInput& input = source_.input();
  if (counts.whole) {
    status.total = counts.lines;
  } else if (input.lines) {
    status.total = std::max(*input.lines, counts.lines);
  } else if (input.size && counts.bytes > 0) {
    status.total_exact = counts.bytes >= *input.size;
    const double share = static_cast<double>(counts.bytes) / static_cast<double>(*input.size);
    status.total = static_cast<std::uint64_t>(static_cast<double>(counts.lines) / share);
  }
  for (std::size_t i = 0; i < states_.size(); ++i) {
    status.waiting += states_[i].waiting;
    status.running += states_[i].running;
    status.engine += states_[i].engine;
    status.replicas[i].busy_seconds = states_[i].busy_seconds;
  }
  status.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  return status;
}

}  // namespace tutti
