#include "launch/doctor_stages.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "launch/doctor_processes.hpp"
#include "launch/doctor_suspects.hpp"
#include "launch/exit_code.hpp"
#include "launch/output.hpp"
#include "launch/together.hpp"

namespace tutti {
namespace {

using Clock = std::chrono::steady_clock;
using json = nlohmann::json;

constexpr std::chrono::milliseconds kLookEvery{1};

std::string text_of(const json& letter) {
  return letter.dump(-1, ' ', false, json::error_handler_t::replace);
}

Watchdog::Hooks hooks_for(const MpiSession& mpi) {
  return {.poll = [] { return std::string(); },
          .progress = [] { return std::string(); },
          .abort = [] {},
          .report =
              [&mpi](const std::string& why) {
                write_message(
                    failure_line(why + " (this rank's main thread does not come back from MPI)\n",
                                 {.host = mpi.host(), .rank = mpi.rank(), .size = mpi.size()}));
                mpi.abort(static_cast<int>(ExitCode::peer));
              }};
}

}  // namespace

// Shared with the thread that works, which may never end.
struct DoctorStages::Job {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  std::string error;
  std::string step;
  RankReport report;

  std::string where() {
    const std::lock_guard lock(mutex);
    return step;
  }

  void work(const Work& what) {
    name_this_thread("working");
    RankReport filled;
    {
      const std::lock_guard lock(mutex);
      filled = report;
    }
    std::string problem;
    try {
      what(filled, [this](const std::string& at) {
        name_this_thread(at);
        const std::lock_guard lock(mutex);
        step = at;
      });
    } catch (...) {
      problem = failure_of(std::current_exception()).message;
    }
    const std::lock_guard lock(mutex);
    report = std::move(filled);
    error = problem;
    done = true;
    changed.notify_all();
  }
};

DoctorStages::DoctorStages(const MpiSession& mpi, ControlPlane& control, const StageTimes& times,
                           std::string expect)
    : mpi_(mpi),
      times_(times),
      mail_(mpi.world()),
      watchdog_(hooks_for(mpi), {.interval = std::chrono::milliseconds(200),
                                 .wait_deadline = times.deadline + 5 * times.grace,
                                 .abort_deadline = times.grace}) {
  watchdog_.watch("doctor: setting up");
  for (const auto& host : control.all_gather(std::as_bytes(std::span(mpi.host())))) {
    hosts_.emplace_back(reinterpret_cast<const char*>(host.data()), host.size());
  }
  processes_ = gather(control, static_cast<int>(::getpid()));
  found_.world = mpi.size();
  found_.expect = std::move(expect);
  own_.rank = mpi.rank();
  own_.world = mpi.size();
  own_.node = mpi.node_of_rank()[static_cast<std::size_t>(mpi.rank())];
  own_.host = mpi.host();
  control.barrier();
  own_.clock =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  if (mpi.rank() == 0) {
    for (int rank = 0; rank < mpi.size(); ++rank) {
      RankReport& report = found_.ranks.emplace_back();
      report.rank = rank;
      report.host = hosts_[static_cast<std::size_t>(rank)];
      report.node = mpi.node_of_rank()[static_cast<std::size_t>(rank)];
    }
  }
}

bool DoctorStages::run(const std::string& stage, Kind kind, const Work& work) {
  stage_ = stage;
  kind_ = kind;
  ++number_;
  begin_ = Clock::now();
  watchdog_.watch("doctor: stage '" + stage + "'");
  const auto job = std::make_shared<Job>();
  job->report = own_;
  std::thread([job, work] { job->work(work); }).detach();
  std::unique_lock lock(job->mutex);
  const bool done =
      job->changed.wait_until(lock, begin_ + times_.deadline, [&] { return job->done; });
  if (done) {
    own_ = job->report;
  }
  lock.unlock();
  const bool go = mpi_.rank() == 0 ? run_on_root(*job, done) : run_elsewhere(*job, done);
  watchdog_.watch("");
  if (go) {
    const std::chrono::duration<double> taken = Clock::now() - begin_;
    found_.stages.push_back({.name = stage, .seconds = taken.count()});
  }
  return go;
}

namespace {

json letter_of(int number, bool done, const std::string& step, const std::string& error,
               const RankReport& report) {
  return {{"stage", number},
          {"done", done},
          {"error", done           ? error
                    : step.empty() ? ""
                                   : "in step '" + step + "'"},
          {"report", to_json(report)}};
}

}  // namespace

bool DoctorStages::run_on_root(Job& job, bool done) {
  std::vector<bool> heard(static_cast<std::size_t>(mpi_.size()));
  const std::string step = job.where();
  if (kind_ == Kind::together && !done) {
    name_silent(heard);  // its own thread may be in MPI: nobody can be heard
    return false;
  }
  take_letter(0, text_of(letter_of(number_, done, step, done ? job.error : "", own_)), heard);
  const auto all_heard = [&] {
    return std::find(heard.begin(), heard.end(), false) == heard.end();
  };
  const Clock::time_point end = begin_ + times_.deadline + times_.grace;
  while (!all_heard() && Clock::now() < end) {
    if (const std::optional<Letter> letter = mail_.look()) {
      take_letter(letter->from, letter->text, heard);
    } else {
      std::this_thread::sleep_for(kLookEvery);
    }
  }
  if (!all_heard()) {
    name_silent(heard);
  }
  bool go = all_heard();
  for (const StageTrouble& trouble : found_.troubles) {
    go = go && trouble.kind == StageTrouble::Kind::failed;
  }
  return answer_all(go);
}

void DoctorStages::take_letter(int from, const std::string& text, std::vector<bool>& heard) {
  const json letter = json::parse(text);
  if (letter["stage"].get<int>() != number_) {
    return;
  }
  const auto rank = static_cast<std::size_t>(from);
  heard[rank] = true;
  found_.ranks[rank] = rank_report_from_json(letter["report"]);
  const bool done = letter["done"];
  const std::string error = letter["error"];
  if (!done || !error.empty()) {
    found_.troubles.push_back(
        {.kind = done ? StageTrouble::Kind::failed : StageTrouble::Kind::hangs,
         .rank = from,
         .host = hosts_[rank],
         .stage = stage_,
         .text = error});
  }
}

void DoctorStages::name_silent(const std::vector<bool>& heard) {
  std::vector<SilentRank> silent;
  const std::vector<int>& nodes = mpi_.node_of_rank();
  for (std::size_t rank = 0; rank < heard.size(); ++rank) {
    if (!heard[rank]) {
      silent.push_back({.rank = static_cast<int>(rank),
                        .host = hosts_[rank],
                        .process = processes_[rank],
                        .on_this_node = nodes[rank] == nodes.front()});
    }
  }
  const std::vector<StageTrouble> named = suspects_among(silent, stage_);
  found_.troubles.insert(found_.troubles.end(), named.begin(), named.end());
}

bool DoctorStages::answer_all(bool go) {
  const std::vector<FilePart> parts = divide_files(found_.ranks, mpi_.size());
  part_ = parts.front();
  for (int rank = 1; rank < mpi_.size(); ++rank) {
    const FilePart& part = parts[static_cast<std::size_t>(rank)];
    mail_.post(rank, text_of({{"stage", number_}, {"go", go}, {"part", {part.index, part.count}}}));
  }
  return go;
}

bool DoctorStages::run_elsewhere(Job& job, bool done) {
  const std::string step = job.where();
  if (kind_ == Kind::together && !done) {
    last_words(job);
  }
  if (kind_ == Kind::together && !job.error.empty()) {
    say("stage '" + stage_ + "' failed: " + job.error);  // rank 0 may be past hearing it
  }
  mail_.post(0, text_of(letter_of(number_, done, step, done ? job.error : "", own_)));
  const Clock::time_point end = begin_ + times_.deadline + 3 * times_.grace;
  while (Clock::now() < end) {
    if (const std::optional<Letter> letter = mail_.look()) {
      const json answer = json::parse(letter->text);
      if (answer["stage"].get<int>() == number_) {
        part_ = {.index = answer["part"][0], .count = answer["part"][1]};
        return answer["go"];
      }
    } else {
      std::this_thread::sleep_for(kLookEvery);
    }
  }
  write_message(failure_line(
      fmt::format("rank 0 on {} does not answer after stage '{}'\n", hosts_.front(), stage_),
      {.host = mpi_.host(), .rank = mpi_.rank(), .size = mpi_.size()}));
  return false;
}

void DoctorStages::say(const std::string& message) const {
  write_message(
      failure_line(message, {.host = mpi_.host(), .rank = mpi_.rank(), .size = mpi_.size()}) +
      "\n");
}

void DoctorStages::last_words(Job& job) {
  const std::string step = job.where();
  const ProcessLook look = look_at_processes({static_cast<int>(::getpid())}).front();
  const std::string trouble = trouble_of(look);
  say(fmt::format("stage '{}' did not end in {:.0f} s, step '{}': this rank {}", stage_,
                  std::chrono::duration<double>(times_.deadline).count(), step,
                  trouble.empty() ? "waits for others" : trouble + ", others may wait for it"));
  end_job();
}

void DoctorStages::end_job() {
  watchdog_.watch("");
  if (mpi_.rank() != 0) {
    std::this_thread::sleep_for(2 * times_.grace);
  } else {
    std::this_thread::sleep_for(times_.grace / 4);  // for the last words of the others
  }
  mpi_.abort(static_cast<int>(ExitCode::peer));
}

std::vector<FilePart> divide_files(const std::vector<RankReport>& ranks, int world) {
  std::vector<FilePart> parts(static_cast<std::size_t>(world));
  std::map<std::string, std::vector<int>> copies;
  for (const RankReport& rank : ranks) {
    copies[rank.file.copy].push_back(rank.rank);
  }
  for (const auto& [copy, members] : copies) {
    for (std::size_t i = 0; i < members.size(); ++i) {
      parts[static_cast<std::size_t>(members[i])] = {.index = static_cast<int>(i),
                                                     .count = static_cast<int>(members.size())};
    }
  }
  return parts;
}

}  // namespace tutti
