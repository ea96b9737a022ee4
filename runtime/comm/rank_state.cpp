#include "runtime/comm/rank_state.hpp"

#include <fmt/format.h>

#include <utility>

namespace tutti {

void RankState::enter(Stage stage) {
  std::unique_lock lock(mutex_);
  look_.stage = std::move(stage);
  ++look_.number;
  look_.stage_begin = look_.since = Clock::now();
  const auto hook = entering_;
  const std::string name = look_.stage.name;
  lock.unlock();
  if (hook) {
    hook(name);
  }
}

void RankState::when_entering(std::function<void(const std::string&)> hook) {
  const std::lock_guard lock(mutex_);
  entering_ = std::move(hook);
}

RankState::Look RankState::look() const {
  const std::lock_guard lock(mutex_);
  Look look = look_;
  if (look.doing != Doing::work) {
    look.call = sequence_ > 0 ? fmt::format("{} #{}", waiting_, sequence_) : std::string(waiting_);
  }
  return look;
}

void RankState::set(Doing doing, std::string_view call, std::uint64_t sequence) {
  look_.doing = doing;
  look_.since = Clock::now();
  waiting_ = call;
  sequence_ = sequence;
}

RankState::Waiting::Waiting(RankState& state, const CollectiveCall& call, Doing doing)
    : state_(state) {
  const std::lock_guard lock(state_.mutex_);
  state_.set(doing, call.collective, call.sequence);
}

RankState::Waiting::~Waiting() {
  const std::lock_guard lock(state_.mutex_);
  state_.set(Doing::work, {}, 0);
}

void RankState::wait_for(std::string_view what) {
  set_text(Doing::wait, what);
}

void RankState::rest_for(std::string_view what) {
  set_text(Doing::rest, what);
}

void RankState::set_text(Doing doing, std::string_view what) {
  const std::lock_guard lock(mutex_);
  text_ = what;
  set(text_.empty() ? Doing::work : doing, text_, 0);
}

void RankState::forgive(Clock::duration gap) {
  const std::lock_guard lock(mutex_);
  look_.since += gap;
  look_.stage_begin += gap;
}

void RankState::report_to(std::function<void(const std::string&)> hook) {
  const std::lock_guard lock(mutex_);
  report_ = std::move(hook);
}

bool RankState::report(const std::string& why) const {
  std::unique_lock lock(mutex_);
  const auto hook = report_;
  lock.unlock();
  if (hook) {
    hook(why);
  }
  return hook != nullptr;
}

}  // namespace tutti
