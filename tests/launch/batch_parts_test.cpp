// The small parts of a batch: tables, lines, times, signals, texts.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>
#include <unordered_map>

#include "kernels/error.hpp"
#include "launch/batch_options.hpp"
#include "launch/batch_status.hpp"
#include "launch/end_signals.hpp"
#include "launch/id_table.hpp"
#include "launch/latency_histogram.hpp"
#include "launch/line_reader.hpp"
#include "launch/time_limit.hpp"
#include "runtime/weights/file_descriptor.hpp"

namespace tutti {
namespace {

using std::chrono::seconds;

TEST(IdTable, HoldsWhatAMapHolds) {
  std::mt19937_64 random(5);
  std::unordered_map<std::uint64_t, std::uint64_t> map;
  IdTable table;
  EXPECT_FALSE(table.find(3));
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t key = random() % 7000;
    EXPECT_EQ(table.add(key == 0 ? 7001 : key, 1), map.emplace(key == 0 ? 7001 : key, 1).second);
    const std::uint64_t other = 1 + random() % 7000;
    table.set(other, i);
    map[other] = static_cast<std::uint64_t>(i);
  }
  EXPECT_EQ(table.size(), map.size());
  for (const auto& [key, value] : map) {
    EXPECT_EQ(table.find(key), value);
  }
  EXPECT_FALSE(table.find(90000));
}

std::vector<std::string> lines_of(const std::string& text, std::size_t longest = 1 << 20) {
  std::array<int, 2> ends{};
  EXPECT_EQ(pipe(ends.data()), 0);
  const FileDescriptor reader(ends[0]);
  {
    const FileDescriptor writer(ends[1]);
    EXPECT_EQ(write(writer.get(), text.data(), text.size()), std::ssize(text));
  }
  LineReader lines(reader.get(), longest);
  std::vector<std::string> all;
  for (std::string_view line; lines.next(line);) {
    all.push_back(std::string(line) + (lines.complete() ? "" : "|") +
                  (lines.too_long() ? "..." : ""));
  }
  EXPECT_EQ(lines.end(), text.size());
  return all;
}

TEST(LineReader, CutsAtLineBreaks) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(lines_of(""), Lines{});
  EXPECT_EQ(lines_of("\n"), Lines{""});
  EXPECT_EQ(lines_of("a\n\nbc\nd"), (Lines{"a", "", "bc", "d|"}));
  EXPECT_EQ(lines_of("abcdef\ngh\n", 3), (Lines{"abc...", "gh"}));
  EXPECT_EQ(lines_of("abc\nabcd", 3), (Lines{"abc", "abc|..."}));
}

TEST(TimeLimit, ReadsDurations) {
  EXPECT_EQ(parse_duration("90"), seconds(90));
  EXPECT_EQ(parse_duration("90s"), seconds(90));
  EXPECT_EQ(parse_duration("15m"), seconds(900));
  EXPECT_EQ(parse_duration("2h"), seconds(7200));
  EXPECT_EQ(parse_duration("1d"), seconds(86400));
  EXPECT_EQ(parse_duration("1:30"), seconds(90));
  EXPECT_EQ(parse_duration("1:00:05"), seconds(3605));
  EXPECT_EQ(parse_duration("2-01:00:00"), seconds(176400));
  for (const char* wrong : {"", "x", "-5", "5x", "1:2:3:4", ":", "1:", "h", "1-5"}) {
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
  }
}

TEST(TimeLimit, ReadsWhatSqueueSays) {
  EXPECT_EQ(parse_slurm_left("1-02:03:04\n"), seconds(93784));
  EXPECT_EQ(parse_slurm_left("59:59"), seconds(3599));
  for (const char* none : {"UNLIMITED\n", "NOT_SET", "INVALID", "", "\n"}) {
    EXPECT_FALSE(parse_slurm_left(none)) << none;
  }
}

TEST(TimeLimit, KnowsTheEndOfASlurmJob) {
  unsetenv("SLURM_JOB_ID");
  EXPECT_FALSE(slurm_time_left());
  setenv("SLURM_JOB_ID", "17", 1);
  setenv("SLURM_JOB_END_TIME", std::to_string(time(nullptr) + 1000).c_str(), 1);
  const auto left = slurm_time_left();
  ASSERT_TRUE(left);
  EXPECT_LE(*left, seconds(1000));
  EXPECT_GT(*left, seconds(900));
  unsetenv("SLURM_JOB_ID");
  unsetenv("SLURM_JOB_END_TIME");
}

TEST(LatencyHistogram, PercentilesAreRightToOnePercent) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.percentile(0.5), 0);
  for (int i = 1; i <= 1000; ++i) {
    histogram.add(i * 0.01);
  }
  EXPECT_NEAR(histogram.percentile(0.5), 5.0, 0.06);
  EXPECT_NEAR(histogram.percentile(0.99), 9.9, 0.11);
  EXPECT_NEAR(histogram.mean(), 5.005, 1e-9);
  EXPECT_EQ(histogram.most(), 10);
  histogram.add(0);
  histogram.add(1e9);
  EXPECT_EQ(histogram.count(), 1002U);
}

TEST(EndSignals, RememberTheFirstOne) {
  const EndSignals signals;
  EXPECT_FALSE(EndSignals::came());
  raise(SIGUSR1);
  raise(SIGTERM);
  EXPECT_EQ(EndSignals::came(), SIGUSR1);
  EXPECT_EQ(EndSignals::name_of(SIGUSR1), "SIGUSR1");
}

TEST(EndSignals, ASecondInterruptEndsTheProcess) {
  const pid_t child = fork();
  if (child == 0) {
    const EndSignals signals;
    raise(SIGINT);
    if (EndSignals::came() == SIGINT) {
      raise(SIGINT);
    }
    _exit(1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
}

TEST(EndSignals, WhatWasIgnoredStaysIgnored) {
  std::signal(SIGHUP, SIG_IGN);
  {
    const EndSignals signals;
    raise(SIGHUP);
    EXPECT_FALSE(EndSignals::came());
  }
  std::signal(SIGHUP, SIG_DFL);
}

BatchStatus some_status() {
  BatchStatus status;
  status.total = 100;
  status.read = 60;
  status.skipped = 20;
  status.answered = 29;
  status.errors = 1;
  status.running = 5;
  status.waiting = 6;
  status.seconds = 10;
  status.engine.pages = 200;
  status.engine.used_pages = 50;
  status.engine.prompt_tokens = 1000;
  status.engine.output_tokens = 2000;
  status.latency.add(2);
  status.first_token.add(1);
  return status;
}

TEST(BatchStatus, SaysHowFarTheRunIs) {
  const BatchStatus status = some_status();
  const std::string line = status_line(status, speed_between({}, status));
  EXPECT_EQ(line,
            "batch 50 of 100, 1 error; in 100 tok/s, out 200 tok/s; 5 running, 6 waiting; KV 25 %; "
            "ETA 17s");
  EXPECT_TRUE(status_bar(status, {}).starts_with("[##########..........] 50 of 100"));
  EXPECT_EQ(status.left(), 50U);
  EXPECT_NE(status_summary(status).find("left 50"), std::string::npos);
}

TEST(BatchStatus, AReckonedTotalIsSaidToBeOne) {
  BatchStatus status = some_status();
  status.total_exact = false;
  EXPECT_NE(status_line(status, {}).find("50 of about 100"), std::string::npos);
  EXPECT_FALSE(status.left());
  status.total.reset();
  EXPECT_TRUE(status_line(status, {}).starts_with("batch 50, 1 error;"));
}

TEST(BatchStatus, IsReportedAsJson) {
  const nlohmann::json report = status_json(some_status());
  EXPECT_EQ(report["counts"]["answered"], 29);
  EXPECT_EQ(report["counts"]["left"], 50);
  EXPECT_EQ(report["throughput"]["output_tokens_per_second"], 200.0);
  EXPECT_NEAR(report["latency_seconds"]["p99"].get<double>(), 2, 0.03);
}

TEST(BatchStatus, MetricsAreInPrometheusForm) {
  const std::string text = prometheus_text(some_status(), {}, "a \"model\"", "f00d");
  EXPECT_NE(text.find("\ntutti_batch_answered_total 29\n"), std::string::npos);
  EXPECT_NE(text.find("tutti_model_info{name=\"a \\\"model\\\"\",fingerprint=\"f00d\"} 1\n"),
            std::string::npos);
  EXPECT_NE(text.find("# TYPE tutti_kv_pages gauge\n"), std::string::npos);
}

BatchOptions options_of(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "m.h5");
  return batch_options(parse_options(batch_spec(), arguments));
}

TEST(BatchOptions, AreRead) {
  const BatchOptions options =
      options_of({"-i", "-", "-o", "out", "--time-limit", "1:00:00", "--flush-seconds", "0.5",
                  "--max-running", "9", "--no-prefix-cache", "--overwrite", "--logprobs", "2"});
  EXPECT_EQ(options.input, "-");
  EXPECT_EQ(options.time_limit, seconds(3600));
  EXPECT_EQ(options.flush, std::chrono::milliseconds(500));
  EXPECT_EQ(options.max_running, 9);
  EXPECT_FALSE(options.prefix_cache);
  EXPECT_EQ(options.existing, ExistingOutput::replace);
  EXPECT_EQ(options.sampling.logprobs, 2);
}

TEST(BatchOptions, ShardsAreReadOrRefused) {
  const BatchShard shard = options_of({"-i", "a", "-o", "b", "--shard", "2/3"}).shard;
  EXPECT_EQ(shard.index, 2);
  EXPECT_EQ(shard.count, 3);
  for (const char* text : {"3/3", "-1/3", "1", "1/", "/3", "1/3x", "1/0", "a/b", "0/2000000", ""}) {
    EXPECT_THROW(options_of({"-i", "a", "-o", "b", "--shard", text}), UsageError) << text;
  }
}

TEST(BatchOptions, ContradictionsAreRefused) {
  EXPECT_THROW(options_of({"-o", "out"}), UsageError);
  EXPECT_THROW(options_of({"-i", "in"}), UsageError);
  EXPECT_THROW(options_of({"-i", "a", "-o", "b", "--no-resume", "--overwrite"}), UsageError);
  EXPECT_THROW(options_of({"-i", "a", "-o", "b", "--chat"}), UsageError);
  EXPECT_THROW(options_of({"-i", "a", "-o", "b", "--time-limit", "soon"}), UsageError);
  EXPECT_THROW(options_of({"-i", "a", "-o", "b", "--min-tokens", "300"}), UsageError);
}

}  // namespace
}  // namespace tutti
