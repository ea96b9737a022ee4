#include "launch/doctor_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "launch/build_info.hpp"
#include "launch/identity_banner.hpp"
#include "launch/job_facts.hpp"
#include "launch/progress.hpp"
#include "launch/threads.hpp"

namespace tutti {
namespace {

const GpuReport* gpu_of(const RankReport& rank) {
  const bool has = rank.gpu >= 0 && static_cast<std::size_t>(rank.gpu) < rank.gpus.size();
  return has ? &rank.gpus[static_cast<std::size_t>(rank.gpu)] : nullptr;
}

std::string rank_line(const RankReport& rank) {
  std::string text =
      fmt::format("{:>5}  {:<16} {:>4}  {:<16} ", rank.rank, rank.host, rank.node_rank,
                  fmt::format("{}: {}", rank.cpus.size(), cpu_list(rank.cpus)));
  if (const GpuReport* gpu = gpu_of(rank)) {
    text += fmt::format("{} {} {}, {} of {} free", gpu->name, gpu->bus_id, gpu->uuid,
                        human_bytes(rank.gpu_free_bytes), human_bytes(gpu->total_bytes));
  } else {
    text += "no GPU";
  }
  return text + "\n";
}

void add_row(std::string& text, const char* name, const std::string& value) {
  if (!value.empty()) {
    text += fmt::format("{:<12} {}\n", name, value);
  }
}

std::string networks_of(const RankReport& rank) {
  std::vector<std::string> parts = rank.fast_links;
  for (const InterfaceReport& interface : rank.interfaces) {
    if (interface.name != "lo") {
      parts.push_back(
          interface.name +
          (interface.megabits > 0 ? fmt::format(" {} Gb/s", interface.megabits / 1e3) : "") +
          (interface.virtual_ ? " (virtual)" : ""));
    }
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

void add_versions(std::string& text, const Examination& found) {
  const auto row = [&](const char* name, std::string (*text_of)(const RankReport&)) {
    const RanksByText groups = ranks_by(found, text_of);
    add_row(text, name, groups.size() == 1 ? groups.begin()->first : describe(found, groups));
  };
  row("Tutti", [](const RankReport& r) { return r.tutti; });
  row("MPI", [](const RankReport& r) { return r.mpi; });
  row("HDF5", [](const RankReport& r) { return r.hdf5; });
  row("CUDA", [](const RankReport& r) { return r.cuda; });
  row("driver", [](const RankReport& r) { return r.driver; });
}

void add_hosts(std::string& text, const Examination& found) {
  std::set<int> seen;
  for (const RankReport& rank : found.ranks) {
    if (!seen.insert(rank.node).second) {
      continue;
    }
    add_row(text, "network", fmt::format("{}: {}", rank.host, networks_of(rank)));
    if (rank.gpus.size() > 1) {
      add_row(text, "peers",
              rank.gpus_apart.empty()
                  ? fmt::format("{}: all {} GPUs reach each other", rank.host, rank.gpus.size())
                  : fmt::format("{}: apart are {}", rank.host, fmt::join(rank.gpus_apart, ", ")));
    }
    add_row(text, "limits",
            fmt::format("{}: memlock {}, /dev/shm {} free of {}", rank.host,
                        rank.memlock_bytes < 0
                            ? "unlimited"
                            : human_bytes(static_cast<std::uint64_t>(rank.memlock_bytes)),
                        human_bytes(rank.shm_free_bytes), human_bytes(rank.shm_bytes)));
  }
}

void add_model(std::string& text, const Examination& found) {
  std::uint64_t bytes = 0;
  double slowest = 0;
  double cached = 0;
  for (const RankReport& rank : found.ranks) {
    bytes += rank.file.read_bytes;
    slowest = std::max(slowest, rank.file.read_seconds);
    cached = std::max(cached, rank.file.cached_share);
  }
  const FileReport& file = found.ranks.front().file;
  if (file.path.empty()) {
    return;
  }
  add_row(
      text, "model",
      fmt::format("{}: {}, fingerprint {}, {} on {}", file.path, file.name,
                  short_fingerprint(file.fingerprint), human_bytes(file.bytes), file.file_system));
  if (slowest > 0) {
    constexpr double kCold = 0.05;
    add_row(text, "reading",
            fmt::format(
                "{} by all ranks in {}, {:.2f} GB/s, checked, {}", human_bytes(bytes),
                human_duration(slowest), 1e-9 * static_cast<double>(bytes) / slowest,
                cached < kCold ? "uncached" : fmt::format("{:.0f} % of it cached", 100 * cached)));
  }
}

void add_collectives(std::string& text, const Examination& found) {
  const RankReport& root = found.ranks.front();
  add_row(text, "backend", root.backend);
  for (const CollectiveRow& row : root.collectives) {
    add_row(text, "",
            fmt::format("{:<36} {:>9} {:>10.1f} us {:>8.2f} GB/s", row.what, human_bytes(row.bytes),
                        row.microseconds, row.bus_rate));
  }
}

std::string job_line(const nlohmann::json& scheduler) {
  if (scheduler.is_null()) {
    return {};
  }
  std::string text = fmt::format("Slurm job {}", scheduler["job"].dump());
  for (const char* field : {"array_index", "step", "restarts", "nodes"}) {
    if (const auto found = scheduler.find(field); found != scheduler.end()) {
      text += fmt::format(", {} {}", field,
                          found->is_string() ? found->get<std::string>() : found->dump());
    }
  }
  return text;
}

nlohmann::json scheduler_of(const RankReport& rank) {
  return scheduler_json([&](const char* name) -> const char* {
    const auto found = rank.environment.find(name);
    return found == rank.environment.end() ? nullptr : found->second.c_str();
  });
}

// What a run's report says of the job, from what the doctor saw.
JobFacts job_of(const Examination& found) {
  const RankReport& root = found.ranks.front();
  JobFacts job = {
      .ranks = {},
      .communication = root.backend,
      .libraries = {.tutti = root.tutti, .mpi = root.mpi, .hdf5 = root.hdf5, .cuda = root.cuda},
      .startup = found.stages};
  for (const RankReport& rank : found.ranks) {
    const GpuReport* gpu = gpu_of(rank);
    job.ranks.push_back({.host = rank.host,
                         .device = gpu != nullptr ? gpu->name : "host",
                         .uuid = gpu != nullptr ? gpu->uuid : "",
                         .cpus = cpu_list(rank.cpus)});
  }
  return job;
}

// The model that rank 0 found; findings say who found another.
nlohmann::json model_json_of(const Examination& found) {
  const FileReport& file = found.ranks.front().file;
  if (file.fingerprint.empty()) {
    return nullptr;
  }
  return {{"name", file.name},
          {"fingerprint", file.fingerprint},
          {"dtype", file.dtype},
          {"parameters", file.parameters}};
}

void add_job(std::string& text, const Examination& found) {
  add_row(text, "job", job_line(scheduler_of(found.ranks.front())));
  std::vector<std::string> stages;
  for (const StageSeconds& stage : found.stages) {
    stages.push_back(fmt::format("{} {:.2f} s", stage.name, stage.seconds));
  }
  add_row(text, "stages", fmt::format("{}", fmt::join(stages, ", ")));
}

}  // namespace

std::string doctor_text(const Examination& found, const std::vector<Finding>& findings) {
  std::string text =
      fmt::format("{:>5}  {:<16} {:>4}  {:<16} {}\n", "rank", "host", "node", "CPUs", "GPU");
  for (const RankReport& rank : found.ranks) {
    text += rank_line(rank);
  }
  text += "\n";
  add_job(text, found);
  add_versions(text, found);
  add_hosts(text, found);
  add_model(text, found);
  add_collectives(text, found);
  text += fmt::format("\n{}\n", healthy(findings) ? "healthy" : "NOT healthy");
  for (const Finding& finding : findings) {
    text += fmt::format("{:<8} {}; remedy: {}\n", fmt::format("{}:", name_of(finding.severity)),
                        finding.text, finding.remedy);
  }
  return text;
}

nlohmann::json doctor_json(const Examination& found, const std::vector<Finding>& findings) {
  const JobFacts job = job_of(found);
  nlohmann::json object = {{"report", "doctor"},
                           {"schema", 1},
                           {"tutti", version()},
                           {"model", model_json_of(found)},
                           {"world", found.world},
                           {"devices", device_names(job.ranks)},
                           {"job", job_json(job, scheduler_of(found.ranks.front()))},
                           {"healthy", healthy(findings)},
                           {"findings", nlohmann::json::array()},
                           {"ranks", nlohmann::json::array()}};
  for (const Finding& finding : findings) {
    object["findings"].push_back({{"severity", name_of(finding.severity)},
                                  {"code", finding.code},
                                  {"text", finding.text},
                                  {"remedy", finding.remedy},
                                  {"ranks", finding.ranks}});
  }
  for (const RankReport& rank : found.ranks) {
    object["ranks"].push_back(to_json(rank));
  }
  return object;
}

}  // namespace tutti
