#include "launch/job_facts.hpp"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "launch/build_info.hpp"
#include "launch/threads.hpp"
#include "runtime/comm/mpi_session.hpp"
#include "runtime/device/cuda_library.hpp"
#include "runtime/weights/hdf5_version.hpp"

namespace tutti {
namespace {

using nlohmann::json;

json text_or_null(const std::string& text) {
  return text.empty() ? json(nullptr) : json(text);
}

// As a number where it is one.
json number_of(const std::string& text) {
  const bool number = !text.empty() && text.size() <= 18 &&
                      text.find_first_not_of("0123456789") == std::string::npos;
  return number ? json(std::stoll(text)) : json(text);
}

}  // namespace

RankPlace place_of(const std::string& host, const Device& device) {
  return {.host = host,
          .device = device.name(),
          .uuid = device.uuid(),
          .cpus = cpu_list(allowed_cpus())};
}

std::vector<RankPlace> gather_places(ControlPlane& control, const RankPlace& own) {
  const std::string mine = json{own.replica, own.host, own.device, own.uuid, own.cpus}.dump(
      -1, ' ', false, json::error_handler_t::replace);
  std::vector<RankPlace> places;
  for (const auto& bytes : control.all_gather(std::as_bytes(std::span(mine)))) {
    const auto* begin = reinterpret_cast<const char*>(bytes.data());
    const json place = json::parse(begin, begin + bytes.size());
    places.push_back({.replica = place[0],
                      .host = place[1],
                      .device = place[2],
                      .uuid = place[3],
                      .cpus = place[4]});
  }
  return places;
}

LibraryVersions library_versions(bool gpus) {
  return {.tutti = version(),
          .mpi = MpiSession::library_version(),
          .hdf5 = hdf5_version(),
          .cuda = gpus ? CudaLibrary::open().versions() : std::string()};
}

std::vector<std::string> device_names(const std::vector<RankPlace>& ranks) {
  std::vector<std::string> names;
  for (const RankPlace& rank : ranks) {
    if (!rank.device.empty() && std::find(names.begin(), names.end(), rank.device) == names.end()) {
      names.push_back(rank.device);
    }
  }
  return names;
}

json scheduler_json(const VariableOf& variable_of) {
  struct Field {
    const char* name;
    const char* variable;
    bool number;
  };
  static constexpr Field kFields[] = {{"job", "SLURM_JOB_ID", true},
                                      {"name", "SLURM_JOB_NAME", false},
                                      {"array_job", "SLURM_ARRAY_JOB_ID", true},
                                      {"array_index", "SLURM_ARRAY_TASK_ID", true},
                                      {"step", "SLURM_STEP_ID", true},
                                      {"restarts", "SLURM_RESTART_COUNT", true},
                                      {"nodes", "SLURM_JOB_NODELIST", false},
                                      {"partition", "SLURM_JOB_PARTITION", false},
                                      {"cluster", "SLURM_CLUSTER_NAME", false}};
  if (variable_of("SLURM_JOB_ID") == nullptr) {
    return nullptr;
  }
  json object = {{"scheduler", "slurm"}, {"restarts", 0}};  // Slurm says nothing of none
  for (const Field& field : kFields) {
    if (const char* value = variable_of(field.variable); value != nullptr) {
      object[field.name] = field.number ? number_of(value) : json(value);
    }
  }
  return object;
}

json scheduler_json() {
  return scheduler_json([](const char* name) { return std::getenv(name); });
}

json job_json(const JobFacts& job, const json& scheduler) {
  json object = {{"scheduler", scheduler},
                 {"communication", text_or_null(job.communication)},
                 {"libraries",
                  {{"tutti", job.libraries.tutti},
                   {"mpi", job.libraries.mpi},
                   {"hdf5", job.libraries.hdf5},
                   {"cuda", text_or_null(job.libraries.cuda)}}},
                 {"startup_seconds", json::object()},
                 {"ranks", json::array()}};
  for (const StageSeconds& stage : job.startup) {
    object["startup_seconds"][stage.name] = stage.seconds;
  }
  const bool replicas = std::any_of(job.ranks.begin(), job.ranks.end(),
                                    [](const RankPlace& place) { return place.replica > 0; });
  for (std::size_t rank = 0; rank < job.ranks.size(); ++rank) {
    const RankPlace& place = job.ranks[rank];
    json& entry = object["ranks"].emplace_back(json{{"rank", rank},
                                                    {"host", place.host},
                                                    {"device", text_or_null(place.device)},
                                                    {"uuid", text_or_null(place.uuid)},
                                                    {"cpus", place.cpus}});
    if (replicas) {
      entry["replica"] = place.replica;
    }
  }
  return object;
}

json job_json(const JobFacts& job) {
  return job_json(job, scheduler_json());
}

}  // namespace tutti
