#include "launch/doctor_report.hpp"

#include <nlohmann/json.hpp>

namespace tutti {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(GpuReport, ordinal, name, uuid, bus_id, total_bytes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(InterfaceReport, name, megabits, virtual_)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(FileReport, path, error, name, fingerprint, dtype, parameters,
                                   copy, file_system, bytes, folder_writable, flock_error,
                                   fcntl_error, read_error, read_bytes, part_bytes, read_seconds,
                                   cached_share)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CollectiveRow, what, bytes, microseconds, bus_rate)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RankReport, rank, world, node, node_rank, host, process, tutti,
                                   mpi, hdf5, cuda, driver, cpus, online_cpus, clock, time_left,
                                   memlock_bytes, shm_bytes, shm_free_bytes, shm_leftovers,
                                   environment, gpus_asked, machine_has_gpus, host_wanted,
                                   why_no_gpu, gpus, gpu, gpu_free_bytes, gpus_apart, interfaces,
                                   fast_links, collectives, backend, file)

nlohmann::json to_json(const RankReport& report) {
  nlohmann::json json;
  to_json(json, report);
  return json;
}

RankReport rank_report_from_json(const nlohmann::json& json) {
  RankReport report;
  from_json(json, report);
  return report;
}

}  // namespace tutti
