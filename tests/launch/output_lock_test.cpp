#include "launch/output_lock.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iterator>

#include "kernels/error.hpp"
#include "tests/support/scratch_folder.hpp"

namespace tutti {
namespace {

using std::chrono::milliseconds;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A process of this machine that has ended.
long ended_pid() {
  const pid_t child = fork();
  if (child == 0) {
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  return child;
}

class OutputLockTest : public testing::Test {
 protected:
  std::filesystem::path output() const { return folder_.path() / "out"; }
  void hold(const LockOwner& owner) const { folder_.write("out.lock", to_text(owner)); }
  std::string refusal() const {
    try {
      const OutputLock lock(output(), quick_);
      return {};
    } catch (const ConfigError& error) {
      return error.what();
    }
  }

  test::ScratchFolder folder_;
  OutputLock::Times quick_{
      .beat = milliseconds(5), .stale = milliseconds(60), .look = milliseconds(2)};
};

TEST_F(OutputLockTest, IsMadeHeldAndRemoved) {
  {
    const OutputLock lock(output());
    EXPECT_EQ(lock_owner_from_text(read_file(lock.path())).pid, getpid());
    EXPECT_NO_THROW(lock.require_ours());
    EXPECT_TRUE(lock.taken_over().empty());
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(OutputLockTest, ALivingProcessOfThisMachineIsRefusedByName) {
  hold(this_process());
  EXPECT_NE(refusal().find("in use by process " + std::to_string(getpid())), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "out.lock"));
}

TEST_F(OutputLockTest, AnEndedProcessOfThisMachineIsTakenOver) {
  LockOwner owner = this_process();
  owner.pid = ended_pid();
  hold(owner);
  const OutputLock lock(output(), quick_);
  EXPECT_NE(lock.taken_over().find(std::to_string(owner.pid)), std::string::npos);
}

TEST_F(OutputLockTest, APidThatAnotherProcessHasNowIsTakenOver) {
  LockOwner owner = this_process();
  owner.start = "1";
  hold(owner);
  EXPECT_EQ(refusal(), "");
}

TEST_F(OutputLockTest, AnotherMachinesLockWithoutBeatsIsTakenOverInTime) {
  LockOwner owner = this_process();
  owner.host = "another";
  hold(owner);
  EXPECT_EQ(refusal(), "");
}

TEST_F(OutputLockTest, AnotherMachinesLockThatBeatsIsRefused) {
  LockOwner owner = this_process();
  owner.host = "another";
  owner.job = "4711";
  hold(owner);
  std::atomic<bool> end = false;
  std::thread beating([&] {
    while (!end) {
      ++owner.beat;
      std::ofstream(folder_.path() / "out.lock", std::ios::in) << to_text(owner) << std::flush;
      std::this_thread::yield();
    }
  });
  const std::string message = refusal();
  end = true;
  beating.join();
  EXPECT_NE(message.find("on another (Slurm job 4711)"), std::string::npos) << message;
}

TEST_F(OutputLockTest, AnEarlierRunOfTheSameSlurmJobIsGone) {
  LockOwner owner = this_process();
  owner.host = "another";
  owner.job = "17";
  LockOwner self = this_process();
  self.job = "17";
  self.restarts = 1;
  EXPECT_TRUE(surely_gone(owner, self));
  self.job = "18";
  EXPECT_FALSE(surely_gone(owner, self));
}

TEST_F(OutputLockTest, AnUnreadableLockIsTakenOverInTime) {
  folder_.write("out.lock", "");
  EXPECT_EQ(refusal(), "");
}

TEST_F(OutputLockTest, ALostLockIsNoticed) {
  const OutputLock lock(output(), quick_);
  LockOwner thief = this_process();
  std::filesystem::remove(lock.path());
  hold(thief);
  EXPECT_THROW(lock.require_ours(), Error);
}

TEST_F(OutputLockTest, SomebodyElsesLockIsNotRemoved) {
  {
    const OutputLock lock(output(), quick_);
    std::filesystem::remove(lock.path());
    hold(this_process());
  }
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "out.lock"));
}

TEST_F(OutputLockTest, Beats) {
  const OutputLock lock(output(), quick_);
  const auto beat = [&] { return lock_owner_from_text(read_file(lock.path())).beat; };
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (beat() < 3 && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  EXPECT_GE(beat(), 3U);
}

}  // namespace
}  // namespace tutti
