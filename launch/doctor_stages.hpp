// The stages of an examination, each with a deadline. A stage's work runs on a thread of its own,
// so that what blocks in it (a file system, a driver, a collective) never silences the rank: the
// rank's main thread tells rank 0 how it went, by letters that nobody has to wait for.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "launch/doctor_diagnose.hpp"
#include "launch/doctor_probe.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/comm/mpi_mail.hpp"
#include "runtime/comm/watchdog.hpp"

namespace tutti {

struct StageTimes {
  std::chrono::milliseconds deadline{30000};  // for the work of one stage
  std::chrono::milliseconds grace{3000};      // for news of it to reach rank 0
};

class DoctorStages {
 public:
  // `step` says where the work is, for the last words of one that hangs.
  using Step = std::function<void(const std::string& step)>;
  using Work = std::function<void(RankReport& report, const Step& step)>;
  enum class Kind {
    alone,     // talks to nobody
    together,  // communicates: while it runs, only its thread may use MPI
  };

  // Collective.
  DoctorStages(const MpiSession& mpi, ControlPlane& control, const StageTimes& times,
               std::string expect = {});

  // Collective, in the same order. False where a rank hangs or is silent: leave then, by end_job().
  // What captures `work` has must live to the end of the process.
  bool run(const std::string& stage, Kind kind, const Work& work);

  // Of rank 0: what all ranks said.
  const Examination& found() const { return found_; }
  // Which part of the model's file is this rank's, after a stage that looked at it.
  FilePart part() const { return part_; }

  // Not collective: after a stage that failed. Rank 0 has said all; the others give it the time.
  [[noreturn]] void end_job();

 private:
  struct Job;

  bool run_on_root(Job& job, bool done);
  bool run_elsewhere(Job& job, bool done);
  void take_letter(int from, const std::string& text, std::vector<bool>& heard);
  void name_silent(const std::vector<bool>& heard);
  bool answer_all(bool go);
  void say(const std::string& message) const;  // on standard error
  [[noreturn]] void last_words(Job& job);

  const MpiSession& mpi_;
  StageTimes times_;
  MpiMail mail_;
  std::vector<std::string> hosts_;
  std::vector<int> processes_;
  RankReport own_;
  Examination found_;
  FilePart part_;
  std::string stage_;
  int number_ = 0;  // of the stage
  Kind kind_ = Kind::alone;
  std::chrono::steady_clock::time_point begin_{};
  Watchdog watchdog_;  // over the main thread: for what should not hang
};

// The part of each rank: those that see one copy of the file divide it. Pure.
std::vector<FilePart> divide_files(const std::vector<RankReport>& ranks, int world);

}  // namespace tutti
