// The parts of tutti doctor that look: folders, networks in a sysfs, processes; and how reports
// travel.
#include "launch/doctor_probe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "launch/doctor_processes.hpp"
#include "launch/doctor_stages.hpp"
#include "launch/doctor_suspects.hpp"
#include "launch/threads.hpp"
#include "tests/support/scratch_folder.hpp"

namespace tutti {
namespace {

namespace fs = std::filesystem;
using test::ScratchFolder;
using ::testing::ElementsAre;

TEST(DoctorReport, TravelsAsJson) {
  RankReport report;
  report.rank = 3;
  report.host = "a";
  report.cpus = {1, 2};
  report.environment = {{"NCCL_DEBUG", "INFO"}};
  report.gpus = {{.ordinal = 1, .name = "H100", .uuid = "GPU-1", .bus_id = "0", .total_bytes = 7}};
  report.file.fingerprint = "abc";
  report.collectives = {{.what = "sum", .bytes = 8, .microseconds = 2.5, .bus_rate = 1}};
  EXPECT_EQ(to_json(rank_report_from_json(to_json(report))), to_json(report));
  EXPECT_EQ(rank_report_from_json(to_json(report)).gpus.at(0).uuid, "GPU-1");
}

TEST(DoctorLocks, WorkInAnOrdinaryFolderAndLeaveNothing) {
  const ScratchFolder folder;
  FileReport report;
  try_locks(report, folder.path());
  EXPECT_TRUE(report.folder_writable);
  EXPECT_EQ(report.flock_error, "");
  EXPECT_EQ(report.fcntl_error, "");
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(DoctorLocks, AreNotTriedWhereNothingCanBeWritten) {
  FileReport report;
  try_locks(report, "/proc/self");
  EXPECT_FALSE(report.folder_writable);
  EXPECT_EQ(report.flock_error, "");
}

TEST(DoctorNetworks, AreReadFromSysfs) {
  const ScratchFolder sys;
  const auto put = [&](const std::string& name, const std::string& text) {
    fs::create_directories((sys.path() / name).parent_path());
    sys.write(name, text);
  };
  put("class/net/eth0/operstate", "up\n");
  put("class/net/eth0/speed", "25000\n");
  put("class/net/eth0/device/vendor", "x");
  put("class/net/docker0/operstate", "up\n");
  put("class/net/docker0/speed", "-1\n");
  put("class/net/eth1/operstate", "down\n");
  put("class/infiniband/mlx5_0/ports/1/state", "4: ACTIVE\n");
  put("class/infiniband/mlx5_0/ports/1/rate", "200 Gb/sec (4X HDR)\n");
  put("class/infiniband/mlx5_0/ports/1/link_layer", "InfiniBand\n");
  put("class/infiniband/mlx5_1/ports/1/state", "1: DOWN\n");
  const std::vector<InterfaceReport> found = interfaces_that_are_up(sys.path());
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].name, "docker0");
  EXPECT_TRUE(found[0].virtual_);
  EXPECT_EQ(found[0].megabits, 0);
  EXPECT_EQ(found[1].name, "eth0");
  EXPECT_FALSE(found[1].virtual_);
  EXPECT_EQ(found[1].megabits, 25000);
  EXPECT_THAT(fast_links_that_are_up(sys.path()),
              ElementsAre("mlx5_0 port 1: 200 Gb/sec (4X HDR), InfiniBand"));
}

TEST(DoctorNetworks, AreNoneWithoutSysfs) {
  const ScratchFolder sys;
  EXPECT_TRUE(interfaces_that_are_up(sys.path()).empty());
  EXPECT_TRUE(fast_links_that_are_up(sys.path()).empty());
}

TEST(DoctorProcesses, TellOneThatSleepsInItsStep) {
  std::promise<void> named;
  std::promise<void> end;
  std::thread sleeper([&] {
    name_this_thread("first sum");
    named.set_value();
    end.get_future().wait();
  });
  named.get_future().wait();
  const ProcessLook look = look_at_processes({static_cast<int>(::getpid())}).front();
  end.set_value();
  sleeper.join();
  EXPECT_TRUE(look.there);
  EXPECT_EQ(look.step, "first sum");
  EXPECT_EQ(trouble_of(look), "sleeps");
}

TEST(DoctorProcesses, TellOneThatIsGone) {
  constexpr int kNobody = 1 << 30;
  EXPECT_EQ(trouble_of(look_at_processes({kNobody}).front()), "is gone");
}

TEST(DoctorProcesses, TellOneThatLeftItsStage) {
  const ProcessLook look = look_at_processes({static_cast<int>(::getpid())}).front();
  EXPECT_THAT(trouble_of(look), ::testing::HasSubstr("has left the stage"));
}

TEST(DoctorProcesses, NameStatesOfTheKernel) {
  EXPECT_EQ(trouble_of({.alive = true, .there = true, .state = 'R', .running = 1, .step = ""}), "");
  EXPECT_EQ(trouble_of({.alive = true, .there = true, .state = 'T', .running = 1, .step = ""}),
            "is stopped");
  EXPECT_EQ(trouble_of({.alive = true, .there = true, .state = 'D', .running = 0, .step = ""}),
            "waits for a disk, a file system or a driver");
}

const ProcessLook kSpins{.alive = true, .there = true, .state = 'R', .running = 1, .step = ""};
const ProcessLook kSleeps{.alive = true, .there = true, .state = 'S', .running = 0, .step = ""};

std::vector<SilentRank> three_silent() {
  return {{.rank = 0, .host = "a", .process = 1},
          {.rank = 1, .host = "a", .process = 2},
          {.rank = 2, .host = "a", .process = 3}};
}

TEST(SilentRanks, AreBlamedWhereTheySleepWhileOthersSpin) {
  const auto troubles = judge_silent(three_silent(), {kSpins, kSleeps, kSpins}, "collectives");
  ASSERT_EQ(troubles.size(), 1u);
  EXPECT_EQ(troubles[0].rank, 1);
  EXPECT_EQ(troubles[0].text, "it sleeps");
}

TEST(SilentRanks, AreAllNamedWhereNobodyIsToBlame) {
  const auto troubles = judge_silent(three_silent(), {kSpins, kSpins, kSpins}, "collectives");
  ASSERT_EQ(troubles.size(), 3u);
  EXPECT_EQ(troubles[2].text, "it waits for the others");
}

TEST(SilentRanks, OfOtherNodesAreNamedAsNotHeardOf) {
  std::vector<SilentRank> silent = three_silent();
  silent[2].on_this_node = false;
  const auto troubles = judge_silent(silent, {kSpins, kSpins}, "collectives");
  ASSERT_EQ(troubles.size(), 1u);
  EXPECT_EQ(troubles[0].rank, 2);
  EXPECT_EQ(troubles[0].kind, StageTrouble::Kind::silent);
}

TEST(DividedFiles, AreReadOnceForEachCopy) {
  std::vector<RankReport> ranks(4);
  for (int rank = 0; rank < 4; ++rank) {
    ranks[static_cast<std::size_t>(rank)].rank = rank;
    ranks[static_cast<std::size_t>(rank)].file.copy = rank == 2 ? "own" : "shared";
  }
  const std::vector<FilePart> parts = divide_files(ranks, 4);
  EXPECT_EQ(parts[0].count, 3);
  EXPECT_EQ(parts[1].index, 1);
  EXPECT_EQ(parts[2].index, 0);
  EXPECT_EQ(parts[2].count, 1);
  EXPECT_EQ(parts[3].index, 2);
}

TEST(CpuList, FoldsRuns) {
  EXPECT_EQ(cpu_list({0, 1, 2, 5, 7, 8}), "0-2,5,7-8");
  EXPECT_EQ(cpu_list({}), "");
}

}  // namespace
}  // namespace tutti
