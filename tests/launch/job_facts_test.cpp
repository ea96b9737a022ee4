#include "launch/job_facts.hpp"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

namespace tutti {
namespace {

nlohmann::json scheduler_of(const std::map<std::string, std::string>& variables) {
  return scheduler_json([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(Scheduler, IsNullOutsideOfAJob) {
  EXPECT_TRUE(scheduler_of({}).is_null());
  EXPECT_TRUE(scheduler_of({{"SLURM_RESTART_COUNT", "1"}}).is_null());
}

TEST(Scheduler, NamesJobArrayRestartsAndNodes) {
  const nlohmann::json all = scheduler_of({{"SLURM_JOB_ID", "4711"},
                                           {"SLURM_JOB_NAME", "17"},
                                           {"SLURM_ARRAY_JOB_ID", "4700"},
                                           {"SLURM_ARRAY_TASK_ID", "11"},
                                           {"SLURM_RESTART_COUNT", "2"},
                                           {"SLURM_JOB_NODELIST", "n[1-3,7]"}});
  const nlohmann::json wanted = {{"scheduler", "slurm"}, {"job", 4711},
                                 {"name", "17"},  // a name, whatever it looks like
                                 {"array_job", 4700},    {"array_index", 11},
                                 {"restarts", 2},        {"nodes", "n[1-3,7]"}};
  EXPECT_EQ(all, wanted);
}

TEST(Scheduler, CountsNoRestartsWhereSlurmSaysNothing) {
  const nlohmann::json first = scheduler_of({{"SLURM_JOB_ID", "1"}, {"SLURM_STEP_ID", "extern"}});
  EXPECT_EQ(first["restarts"], 0);
  EXPECT_EQ(first["step"], "extern");
  EXPECT_FALSE(first.contains("array_index"));
}

TEST(JobFacts, NamesEachDeviceOnceAndNoneOfIdleRanks) {
  const std::vector<RankPlace> ranks = {
      {.host = "a", .device = "NVIDIA X", .uuid = "GPU-1", .cpus = "0"},
      {.host = "a", .device = "", .uuid = "", .cpus = "1"},
      {.host = "b", .device = "NVIDIA Y", .uuid = "GPU-2", .cpus = "0-3"},
      {.host = "b", .device = "NVIDIA X", .uuid = "GPU-3", .cpus = "4-7"}};
  EXPECT_EQ(device_names(ranks), (std::vector<std::string>{"NVIDIA X", "NVIDIA Y"}));
  const nlohmann::json json =
      job_json({.ranks = ranks,
                .communication = "NVIDIA X, nccl plain (the group spans nodes)",
                .libraries = {.tutti = "0.1", .mpi = "M", .hdf5 = "H", .cuda = "C"},
                .startup = {{.name = "weights", .seconds = 2.5}}},
               nullptr);
  EXPECT_TRUE(json["scheduler"].is_null());
  EXPECT_EQ(json["communication"], "NVIDIA X, nccl plain (the group spans nodes)");
  EXPECT_EQ(json["libraries"]["cuda"], "C");
  EXPECT_EQ(json["startup_seconds"]["weights"], 2.5);
  ASSERT_EQ(json["ranks"].size(), 4u);
  EXPECT_TRUE(json["ranks"][1]["device"].is_null());
  EXPECT_EQ(json["ranks"][2]["uuid"], "GPU-2");
  EXPECT_EQ(json["ranks"][3]["cpus"], "4-7");
}

}  // namespace
}  // namespace tutti
