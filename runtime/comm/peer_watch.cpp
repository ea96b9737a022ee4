#include "runtime/comm/peer_watch.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <sstream>
#include <utility>

#include "kernels/error.hpp"
#include "runtime/comm/agreement.hpp"
#include "runtime/comm/mpi_control_plane.hpp"
#include "runtime/comm/peer_letters.hpp"

namespace tutti {
namespace {

using std::chrono::milliseconds;
using Doing = RankState::Doing;

constexpr milliseconds kLookForAnswers{10};
// mpirun kills what is left a second after it has asked.
constexpr milliseconds kAnswersOnOrder{700};
constexpr milliseconds kHeadStart{300};
// An ended peer may have left a letter, and other ranks have something to say of it.
constexpr milliseconds kLastLetters{30};
constexpr std::chrono::seconds kGap{2};
// A rank that stood is woken to be killed: on a busy machine that takes mpirun seconds.
constexpr std::chrono::seconds kWokenToEnd{15};
constexpr double kSlowSeconds = 10;

double seconds_of(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// -1 where the kernel or the process is not to be had.
int open_handle(const ProcessId& who) {
#ifdef SYS_pidfd_open
  const auto handle = static_cast<int>(::syscall(SYS_pidfd_open, who.process, 0));
#else
  const int handle = -1;
#endif
  if (handle >= 0 && state_of(who) == '?') {
    ::close(handle);
    return -1;
  }
  return handle;
}

}  // namespace

PeerWatch::PeerWatch(const MpiRanks& world, bool ask, Hooks hooks, const Times& times)
    : state_(world.group().state()),
      rank_(world.rank()),
      ask_(ask),
      hooks_(std::move(hooks)),
      times_(times),
      mail_(world.group()),
      last_look_(Clock::now()),
      wake_(::eventfd(0, EFD_CLOEXEC)) {
  find_seats(world);
  thread_ = std::thread([this] { run(); });
}

PeerWatch::~PeerWatch() {
  stop();
  for (const Seat& seat : seats_) {
    if (seat.handle >= 0) {
      ::close(seat.handle);
    }
  }
  ::close(wake_);
}

void PeerWatch::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  const std::uint64_t one = 1;
  static_cast<void>(::write(wake_, &one, sizeof one));
  if (thread_.joinable()) {
    thread_.join();
  }
}

void PeerWatch::find_seats(const MpiRanks& world) {
  MpiControlPlane control(world.group());
  const ProcessId own = own_process();
  const auto processes = control.all_gather(std::as_bytes(std::span(&own, 1)));
  const auto hosts = control.all_gather(std::as_bytes(std::span(world.host())));
  const std::vector<int>& nodes = world.node_of_rank();
  for (std::size_t rank = 0; rank < hosts.size(); ++rank) {
    Seat& seat = seats_.emplace_back();
    seat.host.assign(reinterpret_cast<const char*>(hosts[rank].data()), hosts[rank].size());
    std::memcpy(&seat.process, processes[rank].data(), sizeof seat.process);
    seat.on_this_node = nodes[rank] == nodes[static_cast<std::size_t>(rank_)];
    seat.visible = seat.on_this_node && state_of(seat.process) != '?';
    if (seat.visible && static_cast<int>(rank) != rank_) {
      seat.handle = open_handle(seat.process);
    }
  }
}

void PeerWatch::run() {
  while (true) {
    pause();
    {
      const std::lock_guard lock(mutex_);
      if (stopping_ || barked_) {
        return;
      }
    }
    try {
      look_around();
    } catch (const CommError&) {
      // MPI no longer carries letters: the rank itself meets that too, and says so.
      ask_ = false;
    }
  }
}

// Until the next look is due, or a process of this node has ended.
void PeerWatch::pause() {
  std::vector<pollfd> handles{{.fd = wake_, .events = POLLIN, .revents = 0}};
  for (const Seat& seat : seats_) {
    if (seat.handle >= 0) {
      handles.push_back({.fd = seat.handle, .events = POLLIN, .revents = 0});
    }
  }
  ::poll(handles.data(), handles.size(), static_cast<int>(times_.interval.count()));
}

void PeerWatch::look_around() {
  const Clock::time_point now = Clock::now();
  if (stood()) {
    state_.forgive(now - last_look_.load());
    next_question_ = now + times_.grace;
    silent_until_ = next_question_;
  }
  last_look_ = Clock::time_point::max();
  read_letters();
  look_for_ended_peers();
  look_for_orders();
  look_at_clock();
  last_look_ = Clock::now();
}

// Whether this process was stopped and goes on, and nobody has looked around since.
bool PeerWatch::stood() const {
  return Clock::now() - last_look_.load() > times_.interval + kGap;
}

bool PeerWatch::end_is_said() const {
  const std::lock_guard lock(mail_mutex_);
  return state_.ending() || end_said_;
}

bool PeerWatch::has_left(int rank) const {
  const std::lock_guard lock(mail_mutex_);
  return seats_[static_cast<std::size_t>(rank)].left;
}

// The lowest rank of the node that is still there speaks for it.
void PeerWatch::look_for_ended_peers() {
  if (Clock::now() < silent_until_.load()) {
    std::this_thread::sleep_for(times_.interval);
    return;
  }
  std::vector<int> ended;
  for (std::size_t rank = 0; rank < seats_.size(); ++rank) {
    if (seats_[rank].handle < 0) {
      continue;
    }
    pollfd handle{.fd = seats_[rank].handle, .events = POLLIN, .revents = 0};
    if (::poll(&handle, 1, 0) == 1) {
      ended.push_back(static_cast<int>(rank));
    } else if (static_cast<int>(rank) < rank_) {
      return;
    }
  }
  if (ended.empty()) {
    return;
  }
  for (const int rank : ended) {  // once
    ::close(std::exchange(seats_[static_cast<std::size_t>(rank)].handle, -1));
  }
  std::this_thread::sleep_for(kLastLetters);
  read_letters();
  ended.erase(
      std::remove_if(ended.begin(), ended.end(), [this](int rank) { return has_left(rank); }),
      ended.end());
  if (!ended.empty() && !end_is_said()) {
    bark({.ranks = ended, .silent = true, .cause = {}});
  }
}

// Whoever asks a rank to end may do so because another one is gone: that is looked at first.
void PeerWatch::look_for_orders() {
  if (order_seen_ || !ask_ || !hooks_.told_to_end || !hooks_.told_to_end()) {
    return;
  }
  order_seen_ = true;
  const bool woken = Clock::now() < silent_until_.load();
  if (woken) {  // others have ended meanwhile, and have said why
    silent_until_ = Clock::now() + kWokenToEnd;
  }
  if (const std::vector<int> missing = missing_on_order();
      !missing.empty() && !woken && !end_is_said()) {
    bark({.ranks = missing, .silent = true, .cause = {}});
  } else if (hooks_.ends && hooks_.ends()) {
    for (int rank = 0; rank < static_cast<int>(seats_.size()); ++rank) {
      const Seat& seat = seats_[static_cast<std::size_t>(rank)];
      if (rank != rank_ && seat.visible && state_of(seat.process) != '?') {
        post(rank, fmt::format("{} 0", kLeaves));
      }
    }
    hooks_.end();
  }
}

// All have been told, and say that they are there: to rank 0, and to rank 1 first, which speaks
// where rank 0 does not. Nobody asks: Open MPI ends a process that sends to one that is gone.
std::vector<int> PeerWatch::missing_on_order() {
  const std::string alive = fmt::format("{} 0", kAlive);
  if (rank_ != 1 && seats_.size() > 1) {
    post(1, alive);
  }
  if (rank_ > 1) {
    post(0, alive);
  }
  const Clock::time_point end =
      Clock::now() + kAnswersOnOrder - (rank_ == 1 ? kHeadStart : milliseconds(0));
  std::vector<int> missing;
  do {
    std::this_thread::sleep_for(kLookForAnswers);
    read_letters();
    const std::lock_guard lock(mail_mutex_);
    missing.clear();
    for (int rank = 0; rank < static_cast<int>(seats_.size()); ++rank) {
      if (rank != rank_ && !seats_[static_cast<std::size_t>(rank)].alive) {
        missing.push_back(rank);
      }
    }
  } while (Clock::now() < end && !(rank_ == 0 && missing.empty()));
  const bool speaks = rank_ == 0 || (rank_ == 1 && !alive_said_);
  return speaks ? missing : std::vector<int>{};
}

// Rank 0 asks first, then rank 1, then whoever is left.
PeerWatch::Clock::duration PeerWatch::turn() const {
  return std::min(rank_, 2) * Clock::duration(times_.grace);
}

void PeerWatch::look_at_clock() {
  const RankState::Look look = state_.look();
  const Clock::time_point now = Clock::now();
  const auto waited = now - (look.stage.pace ? look.since : look.stage_begin);
  const bool rests = look.stage.pace && look.doing == Doing::rest;
  if (!look.stage.pace && rank_ == 0) {
    tell_slow(look, seconds_of(waited));
  }
  if ((look.stage.pace && look.doing == Doing::work) || look.stage.deadline <= Clock::duration{} ||
      barked_) {
    return;
  }
  {
    const std::lock_guard lock(mail_mutex_);
    next_question_ = std::max(next_question_, asked_ + 2 * times_.grace);
  }
  const Clock::duration limit =
      rests ? std::max<Clock::duration>(times_.rest, look.stage.deadline) : look.stage.deadline;
  if (waited < limit + turn() || now < next_question_) {
    return;
  }
  const std::vector<PeerAnswer> answers = roll_call(times_.grace);
  judge(rests             ? PeerQuestion::rest
        : look.stage.pace ? PeerQuestion::wait
                          : PeerQuestion::stage,
        seconds_of(limit), answers);
  next_question_ = Clock::now() + limit / 2;
}

void PeerWatch::judge(PeerQuestion question, double limit, const std::vector<PeerAnswer>& answers) {
  const auto verdict = judge_peers(question, rank_, limit, answers);
  if (verdict && !end_is_said()) {
    bark(*verdict);
  }
}

void PeerWatch::tell_slow(const RankState::Look& look, double seconds) {
  const double deadline = seconds_of(look.stage.deadline);
  if (slow_stage_ != look.number) {
    slow_stage_ = look.number;
    slow_at_ = std::min(kSlowSeconds, deadline / 3);
  }
  if (deadline <= 0 || seconds < slow_at_ || seconds >= deadline || !hooks_.slow) {
    return;
  }
  slow_at_ = 2 * seconds;
  const auto verdict = judge_peers(PeerQuestion::stage, rank_, 0, roll_call(times_.grace));
  hooks_.slow(
      fmt::format("start-up: '{}' has taken {:.1f} s, the job ends at {:.1f} s; waiting for {}",
                  look.stage.name, seconds, deadline, names_of(verdict->ranks)));
}

std::vector<PeerAnswer> PeerWatch::roll_call(Clock::duration grace) {
  const std::lock_guard roll(roll_mutex_);
  {
    const std::lock_guard lock(mail_mutex_);
    ++question_;
    answers_.assign(seats_.size(), {});
    answers_[static_cast<std::size_t>(rank_)] = own_answer();
    for (std::size_t rank = 0; rank < seats_.size(); ++rank) {
      const Seat& seat = seats_[rank];
      const char state = seat.visible ? state_of(seat.process) : 'R';
      const bool well = state != '?' && trouble_of_state(state) != "is stopped" && state != 'Z';
      if (!ask_ && well && static_cast<int>(rank) != rank_) {
        answers_[rank] = {.heard = true, .doing = Doing::rest, .seconds = 1e9, .call = "a call"};
      }
    }
  }
  if (ask_) {
    post_to_others(fmt::format("{} {}", kAsk, question_));
  }
  const Clock::time_point end = Clock::now() + grace;
  while (true) {
    read_letters();
    {
      const std::lock_guard lock(mail_mutex_);
      const bool all = std::all_of(answers_.begin(), answers_.end(),
                                   [](const PeerAnswer& answer) { return answer.heard; });
      if (all || !ask_ || Clock::now() >= end) {
        return answers_;
      }
    }
    std::this_thread::sleep_for(kLookForAnswers);
  }
}

PeerAnswer PeerWatch::own_answer() const {
  const RankState::Look look = state_.look();
  return {.heard = true,
          .stage = look.stage.order,
          .doing = look.doing,
          .seconds = seconds_of(Clock::now() - look.since),
          .call = look.call};
}

void PeerWatch::post(int rank, const std::string& text) {
  const std::lock_guard lock(mail_mutex_);
  mail_.post(rank, text);
}

// But to those that were found to be lost.
void PeerWatch::post_to_others(const std::string& text) {
  for (int rank = 0; rank < static_cast<int>(seats_.size()); ++rank) {
    if (rank != rank_ && std::find(lost_.begin(), lost_.end(), rank) == lost_.end()) {
      post(rank, text);
    }
  }
}

void PeerWatch::read_letters() {
  if (!ask_) {
    return;
  }
  const std::lock_guard lock(mail_mutex_);
  while (const std::optional<Letter> letter = mail_.look()) {
    take_letter(letter->from, letter->text);
  }
}

// Under the lock.
void PeerWatch::take_letter(int from, const std::string& text) {
  std::istringstream words(text);
  std::string kind;
  int question = 0;
  words >> kind >> question;
  const auto rank = static_cast<std::size_t>(from);
  if (kind == kAsk) {
    asked_ = Clock::now();
    mail_.post(from, letter_of(question, own_answer()));
  } else if (kind == kAlive) {
    seats_[rank].alive = true;
    if (rank_ == 1 && from == 0 && !std::exchange(alive_said_, true)) {
      mail_.post(0, text);  // whether or not this rank has been told to end by now
    }
  } else if (kind == kEnds || kind == kLeaves) {
    end_said_ = end_said_ || kind == kEnds;
    seats_[rank].left = true;
  } else if (kind == kHere && question == question_) {
    answers_[rank] = answer_from(words);
  }
}

void PeerWatch::say_farewell() {
  state_.begin_end();
  if (!ask_) {
    return;
  }
  try {
    post_to_others(fmt::format("{} 0", kEnds));
  } catch (const CommError&) {
    // They find out.
  }
}

void PeerWatch::leave_word_to_others() {
  const bool woken = stood() || Clock::now() < silent_until_.load();
  try {
    read_letters();
  } catch (const CommError&) {
    // Then nobody can be heard.
  }
  if (woken || end_is_said()) {
    std::this_thread::sleep_for(kWokenToEnd);
  }
}

PeerTrouble PeerWatch::trouble_behind(const std::string& text) {
  const RankState::Look look = state_.look();
  std::optional<PeerVerdict> verdict;
  try {
    verdict = judge_peers(PeerQuestion::wait, rank_, 0, roll_call(times_.grace));
  } catch (const CommError&) {
    // Then nobody can be asked.
  }
  if (!verdict || verdict->ranks.size() == seats_.size()) {
    return {.who = names_of({rank_}), .stage = look.stage.name, .cause = text};
  }
  PeerTrouble trouble = describe(*verdict, look);
  trouble.cause += fmt::format("; {}", text);
  return trouble;
}

PeerTrouble PeerWatch::describe(const PeerVerdict& verdict, const RankState::Look& look) const {
  std::string cause = verdict.silent ? silence_of(verdict.ranks) : verdict.cause;
  if (!ask_ && !verdict.silent) {
    cause = "the others cannot be asked: this MPI is not for several threads";
  }
  const bool asks_for_itself = verdict.ranks == std::vector<int>{rank_};
  std::string asker =
      look.doing == Doing::work
          ? ""
          : fmt::format("{} waits in {} for {:.1f} s", asks_for_itself ? "it" : names_of({rank_}),
                        look.call, seconds_of(Clock::now() - look.since));
  return {.who = names_of(verdict.ranks),
          .stage = look.stage.name,
          .cause = asker.empty() ? cause : fmt::format("{}; {}", cause, asker)};
}

std::string PeerWatch::names_of(const std::vector<int>& ranks) const {
  constexpr std::size_t kNamed = 4;
  std::vector<std::string> hosts;
  for (const int rank : ranks) {
    const std::string& host = seats_[static_cast<std::size_t>(rank)].host;
    if (std::find(hosts.begin(), hosts.end(), host) == hosts.end()) {
      hosts.push_back(host);
    }
  }
  const std::size_t more = hosts.size() - std::min(hosts.size(), kNamed);
  hosts.resize(hosts.size() - more);
  return fmt::format("{} on {}{}", describe_ranks(ranks), fmt::join(hosts, ", "),
                     more == 0 ? "" : fmt::format(" and {} hosts more", more));
}

// By what the kernel knows of those on this node; the first that it knows something of.
std::string PeerWatch::silence_of(const std::vector<int>& ranks) const {
  for (const int rank : ranks) {
    const Seat& seat = seats_[static_cast<std::size_t>(rank)];
    const char state = seat.visible ? state_of(seat.process) : 'R';
    if (state == '?' || trouble_of_state(state) == "has ended") {
      return fmt::format("its process {} has ended: killed or crashed", seat.process.process);
    }
    if (const std::string trouble = trouble_of_state(state); !trouble.empty()) {
      return fmt::format("does not answer: its process {} {}", seat.process.process, trouble);
    }
  }
  return "does not answer: it is stopped or has ended, or its node is cut off";
}

void PeerWatch::bark(const PeerVerdict& verdict) {
  barked_ = true;
  const PeerTrouble trouble = describe(verdict, state_.look());
  if (verdict.silent) {
    lost_ = verdict.ranks;
  }
  say_farewell();
  if (hooks_.trouble) {
    hooks_.trouble(trouble);
  }
}

}  // namespace tutti
