// Every rule of tutti doctor: what it finds, on which ranks, and what it leaves alone.
#include "launch/doctor_diagnose.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "launch/doctor_text.hpp"
#include "launch/group_network.hpp"

namespace tutti {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Three ranks on two nodes with a GPU each, a fast network and one model: nothing to find.
Examination sound() {
  Examination found;
  found.world = 3;
  for (int rank = 0; rank < 3; ++rank) {
    RankReport report;
    report.rank = rank;
    report.world = 3;
    report.node = rank / 2;
    report.node_rank = rank % 2;
    report.host = rank < 2 ? "a" : "b";
    report.process = 100 + rank;
    report.tutti = "0.1.0";
    report.mpi = "Open MPI v4.1.4";
    report.hdf5 = "1.10.8";
    report.cuda = "CUDA 13.0, NCCL 2.28.9";
    report.driver = "580.1";
    report.cpus = {4 * rank, 4 * rank + 1, 4 * rank + 2, 4 * rank + 3};
    report.online_cpus = 12;
    report.clock = 1e9;
    report.shm_bytes = report.shm_free_bytes = std::uint64_t{8} << 30;
    report.gpus_asked = report.machine_has_gpus = true;
    for (int gpu = 0; gpu < 2; ++gpu) {
      report.gpus.push_back({.ordinal = gpu,
                             .name = "H100",
                             .uuid = "GPU-" + report.host + std::to_string(gpu),
                             .bus_id = "0",
                             .total_bytes = 1000});
    }
    report.gpu = report.node_rank;
    report.gpu_free_bytes = 990;
    report.fast_links = {"mlx5_0"};
    report.file.path = "m.h5";
    report.file.fingerprint = "aaaa";
    report.file.copy = "1";
    report.file.folder_writable = true;
    found.ranks.push_back(report);
  }
  return found;
}

struct Case {
  const char* name;
  std::function<void(Examination&)> plant;
  Severity severity;
  const char* code;
  std::vector<int> ranks;
  const char* words;  // in its text or remedy
};

void PrintTo(const Case& one, std::ostream* out) {
  *out << one.name;
}

class Planted : public ::testing::TestWithParam<Case> {};

TEST_P(Planted, IsFoundOnItsRanksAndNothingElseIs) {
  Examination found = sound();
  GetParam().plant(found);
  const std::vector<Finding> findings = diagnose(found);
  ASSERT_EQ(findings.size(), 1u) << doctor_text(found, findings);
  EXPECT_EQ(findings[0].severity, GetParam().severity);
  EXPECT_EQ(findings[0].code, GetParam().code);
  EXPECT_EQ(findings[0].ranks, GetParam().ranks);
  EXPECT_THAT(findings[0].text + "; " + findings[0].remedy, HasSubstr(GetParam().words));
  EXPECT_EQ(healthy(findings), GetParam().severity != Severity::error);
}

constexpr Severity kError = Severity::error;
constexpr Severity kWarning = Severity::warning;
constexpr Severity kNote = Severity::note;

void alone(Examination& found, std::map<std::string, std::string> environment) {
  found.ranks.resize(1);
  found.ranks[0].world = found.world = 1;
  found.ranks[0].environment = std::move(environment);
}

const Case kCases[] = {
    {"other_version",
     [](auto& f) { f.ranks[2].tutti = "0.2.0"; },
     kError,
     "version",
     {2},
     "Tutti differs between ranks: 0.1.0 (ranks 0-1 on a); 0.2.0 (rank 2 on b)"},
    {"other_mpi", [](auto& f) { f.ranks[0].mpi = "MPICH"; }, kError, "version", {0}, "MPI differs"},
    {"other_nccl", [](auto& f) { f.ranks[1].cuda = "NCCL 2.27"; }, kError, "version", {1}, "NCCL"},
    {"other_driver", [](auto& f) { f.ranks[2].driver = "1"; }, kWarning, "version", {2}, "driver"},
    {"other_hdf5", [](auto& f) { f.ranks[2].hdf5 = "1.14"; }, kWarning, "version", {2}, "HDF5"},
    {"singleton_under_srun",
     [](auto& f) {
       alone(f, {{"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_PROCID", "2"}});
     },
     kError,
     "singletons",
     {0},
     "task 2 of 4 on a"},
    {"singleton_remedy",
     [](auto& f) {
       alone(f, {{"SLURM_STEP_NUM_TASKS", "4"}});
     },
     kError,
     "singletons",
     {0},
     "srun --mpi=pmix"},
    {"singleton_of_another_mpirun",
     [](auto& f) {
       alone(f, {{"OMPI_COMM_WORLD_SIZE", "2"}});
     },
     kError,
     "singletons",
     {0},
     "start with the mpirun of the MPI"},
    {"singleton_of_pmi",
     [](auto& f) {
       alone(f, {{"PMI_SIZE", "8"}, {"PMI_RANK", "7"}});
     },
     kError,
     "singletons",
     {0},
     "task 7 of 8"},
    {"no_launcher",
     [](auto& f) {
       alone(f, {{"SLURM_NTASKS", "4"}});
     },
     kWarning,
     "no-launcher",
     {0},
     "the allocation has 4 tasks"},
    {"other_setting",
     [](auto& f) { f.ranks[1].environment["NCCL_ALGO"] = "Ring"; },
     kWarning,
     "environment",
     {1},
     "NCCL_ALGO differs between ranks: Ring (rank 1 on a); not set"},
    {"no_gpu",
     [](auto& f) {
       f.ranks[2].gpus.clear();
       f.ranks[2].gpu = -1;
       f.ranks[2].why_no_gpu = "no driver";
     },
     kError,
     "no-gpu",
     {2},
     "rank 2 on b see no GPU, others do: no driver"},
    {"shared_gpu",
     [](auto& f) {
       f.ranks[1].gpus.resize(1);
       f.ranks[1].gpu = 0;
     },
     kError,
     "shared-gpu",
     {0, 1},
     "ranks 0-1 on a would share one GPU, GPU-a0"},
    {"mixed_gpus",
     [](auto& f) { f.ranks[2].gpus[0].name = "A100"; },
     kWarning,
     "mixed-gpus",
     {2},
     "A100"},
    {"filled_gpu",
     [](auto& f) { f.ranks[1].gpu_free_bytes = 500; },
     kWarning,
     "gpu-memory",
     {1},
     "something else holds the rest"},
    {"links_apart",
     [](auto& f) { f.ranks[0].gpus_apart = {"0-1"}; },
     kWarning,
     "peer-links",
     {0},
     "cannot reach each other's memory: 0-1"},
    {"plain_tcp",
     [](auto& f) {
       f.ranks[2].fast_links.clear();
       f.ranks[2].interfaces = {{.name = "eth0", .megabits = 10000, .virtual_ = false}};
     },
     kWarning,
     "plain-tcp",
     {2},
     "eth0 at 10 Gb/s"},
    {"bridge",
     [](auto& f) { f.ranks[2].interfaces = {{.name = "docker0"}}; },
     kNote,
     "interfaces",
     {2},
     "docker0"},
    {"other_fingerprint",
     [](auto& f) { f.ranks[1].file.fingerprint = "bbbb"; },
     kError,
     "fingerprint",
     {1},
     "rank 1 on a would load another model"},
    {"missing_file",
     [](auto& f) {
       f.ranks[2].file.error = "m.h5: cannot be opened";
       f.ranks[2].file.fingerprint.clear();
     },
     kError,
     "model-file",
     {2},
     "rank 2 on b cannot use the model"},
    {"damaged",
     [](auto& f) { f.ranks[1].file.read_error = "rows 0..8"; },
     kError,
     "damaged",
     {1},
     "rows 0..8"},
    {"no_flock",
     [](auto& f) { f.ranks[0].file.flock_error = "refused"; },
     kWarning,
     "locking",
     {0},
     "HDF5_USE_FILE_LOCKING=FALSE"},
    {"no_fcntl",
     [](auto& f) { f.ranks[0].file.fcntl_error = "refused"; },
     kWarning,
     "locking",
     {0},
     "(fcntl): refused"},
    {"read_only",
     [](auto& f) { f.ranks[2].file.folder_writable = false; },
     kNote,
     "read-only",
     {2},
     "cannot write"},
    {"part_read",
     [](auto& f) {
       f.ranks[0].file.part_bytes = 100;
       f.ranks[0].file.read_bytes = 25;
     },
     kNote,
     "part-read",
     {},
     "25 % of the model"},
    {"slow_reading",
     [](auto& f) {
       f.ranks[0].file.part_bytes = f.ranks[0].file.read_bytes = 100'000'000;
       f.ranks[0].file.read_seconds = 10;
     },
     kWarning,
     "slow-reading",
     {0},
     "less than 50 MB/s"},
    {"narrow_binding",
     [](auto& f) { f.ranks[2].cpus = {3}; },
     kWarning,
     "cpu-binding",
     {2},
     "--bind-to none"},
    {"few_cpus",
     [](auto& f) {
       for (RankReport& rank : f.ranks) {
         rank.online_cpus = 4;
       }
       f.ranks[0].cpus = f.ranks[1].cpus = {0};
       f.ranks[0].online_cpus = f.ranks[1].online_cpus = 1;
     },
     kWarning,
     "few-cpus",
     {0, 1},
     "share 1 CPU"},
    {"lost_cpus",
     [](auto& f) { f.ranks[1].environment["SLURM_CPUS_PER_TASK"] = "8"; },
     kWarning,
     "lost-cpus",
     {1},
     "srun -c $SLURM_CPUS_PER_TASK"},
    {"split_host",
     [](auto& f) { f.ranks[2].host = "a"; },
     kWarning,
     "split-host",
     {0, 1, 2},
     "are 2 nodes to MPI"},
    {"memlock",
     [](auto& f) { f.ranks[1].memlock_bytes = 65536; },
     kWarning,
     "memlock",
     {1},
     "ulimit -l unlimited"},
    {"small_shm",
     [](auto& f) { f.ranks[0].shm_free_bytes = 1 << 20; },
     kWarning,
     "shared-memory",
     {0},
     "--shm-size"},
    {"shm_leftovers",
     [](auto& f) { f.ranks[2].shm_leftovers = {"nccl-x"}; },
     kNote,
     "shared-memory-leftovers",
     {2},
     "nccl-x"},
    {"clock", [](auto& f) { f.ranks[2].clock -= 60; }, kWarning, "clock", {2}, "60.0 s behind"},
    {"time_left", [](auto& f) { f.ranks[0].time_left = 7200; }, kNote, "time-left", {0}, "2h00m"},
    {"time_short",
     [](auto& f) { f.ranks[0].time_left = 60; },
     kWarning,
     "time-left",
     {0},
     "--time"},
    {"hang",
     [](auto& f) {
       f.troubles.push_back({.kind = StageTrouble::Kind::hangs,
                             .rank = 1,
                             .host = "a",
                             .stage = "GPUs",
                             .text = ""});
     },
     kError,
     "hang",
     {1},
     "rank 1 on a hangs in stage 'GPUs'; look what blocks there"},
    {"silent_before_it_saw_anything",
     [](auto& f) {
       f.ranks[2] = {.rank = 2, .world = 3, .node = 1, .host = "b"};
       f.troubles.push_back({.kind = StageTrouble::Kind::silent,
                             .rank = 2,
                             .host = "b",
                             .stage = "host",
                             .text = ""});
     },
     kError,
     "hang",
     {2},
     "rank 2 on b was not heard of in stage 'host'"},
};

INSTANTIATE_TEST_SUITE_P(Faults, Planted, ::testing::ValuesIn(kCases),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(Diagnose, FindsNothingWhereAllIsWell) {
  const Examination found = sound();
  const std::vector<Finding> findings = diagnose(found);
  EXPECT_TRUE(findings.empty()) << doctor_text(found, findings);
  EXPECT_THAT(doctor_text(found, findings), HasSubstr("\nhealthy\n"));
}

TEST(Diagnose, TakesMpirunsWordOverThatOfSlurmsStepForItsDaemons) {
  Examination found = sound();
  for (RankReport& rank : found.ranks) {
    rank.environment = {{"OMPI_COMM_WORLD_SIZE", "3"}, {"SLURM_STEP_NUM_TASKS", "2"}};
  }
  EXPECT_TRUE(diagnose(found).empty());
}

TEST(Diagnose, SaysTheWorstFirstAndTheSameFailureOnce) {
  Examination found = sound();
  found.ranks[0].time_left = 7200;
  found.ranks[1].gpu_free_bytes = 1;
  for (int rank = 0; rank < 3; ++rank) {
    found.troubles.push_back({.kind = StageTrouble::Kind::failed,
                              .rank = rank,
                              .host = rank < 2 ? "a" : "b",
                              .stage = "collectives",
                              .text = "wanted 6, found 5"});
  }
  const std::vector<Finding> findings = diagnose(found);
  ASSERT_EQ(findings.size(), 3u);
  EXPECT_EQ(findings[0].severity, Severity::error);
  EXPECT_THAT(findings[0].ranks, ElementsAre(0, 1, 2));
  EXPECT_THAT(findings[0].text, HasSubstr("ranks 0-2 on a, b failed in stage 'collectives'"));
  EXPECT_EQ(findings[1].severity, Severity::warning);
  EXPECT_EQ(findings[2].severity, Severity::note);
}

TEST(DoctorExpect, NamesWhoFoundAnotherModelThanExpected) {
  Examination found = sound();
  for (RankReport& rank : found.ranks) {
    rank.file.fingerprint = "bbbb";
  }
  found.expect = "bb";
  EXPECT_TRUE(healthy(diagnose(found)));
  found.expect = "aa";
  const std::vector<Finding> findings = diagnose(found);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].code, "expected");
  EXPECT_THAT(findings[0].ranks, ElementsAre(0, 1, 2));
  EXPECT_THAT(findings[0].text, HasSubstr("another model than --expect aa: "));
}

TEST(DoctorJson, NamesTheModelTheJobAndItsStages) {
  Examination found = sound();
  found.ranks[0].environment = {{"SLURM_JOB_ID", "17"}, {"SLURM_ARRAY_TASK_ID", "3"}};
  found.ranks[0].file.fingerprint = "bbbb";
  found.ranks[0].file.name = "tiny";
  found.stages = {{.name = "host", .seconds = 0.25}};
  const nlohmann::json object = doctor_json(found, {});
  EXPECT_EQ(object["model"]["name"], "tiny");
  EXPECT_EQ(object["job"]["scheduler"]["job"], 17);
  EXPECT_EQ(object["job"]["scheduler"]["array_index"], 3);
  EXPECT_EQ(object["job"]["startup_seconds"]["host"], 0.25);
  EXPECT_EQ(object["job"]["ranks"].size(), 3u);
  const std::string text = doctor_text(found, {});
  EXPECT_THAT(text, HasSubstr("Slurm job 17, array_index 3, restarts 0"));
  EXPECT_THAT(text, HasSubstr("host 0.25 s"));
}

TEST(DoctorJson, HoldsFindingsAndRanks) {
  Examination found = sound();
  found.ranks[1].file.fingerprint = "bbbb";
  const nlohmann::json object = doctor_json(found, diagnose(found));
  EXPECT_EQ(object["healthy"], false);
  EXPECT_EQ(object["findings"][0]["code"], "fingerprint");
  EXPECT_EQ(object["findings"][0]["severity"], "error");
  EXPECT_EQ(object["ranks"].size(), 3u);
  EXPECT_EQ(object["ranks"][2]["host"], "b");
}

TEST(GroupNetwork, SaysWhatIsUsedAndWarnsOfPlainTcp) {
  Examination found = sound();
  GroupNetwork network = group_network(found);
  EXPECT_THAT(network.text, HasSubstr("MPI chooses by itself; NCCL chooses by itself"));
  EXPECT_TRUE(network.warnings.empty());
  for (RankReport& rank : found.ranks) {
    rank.fast_links.clear();
    rank.interfaces = {{.name = "eth0", .megabits = 10000, .virtual_ = false}};
    rank.environment["NCCL_SOCKET_IFNAME"] = "eth0";
    rank.environment["OMPI_MCA_btl_tcp_if_include"] = "eth0";
  }
  network = group_network(found);
  EXPECT_EQ(network.text,
            "eth0 at 10 Gb/s (a); MPI by OMPI_MCA_btl_tcp_if_include=eth0; NCCL by "
            "NCCL_SOCKET_IFNAME=eth0");
  EXPECT_THAT(network.warnings, ElementsAre(HasSubstr("plain TCP")));
}

}  // namespace
}  // namespace tutti
