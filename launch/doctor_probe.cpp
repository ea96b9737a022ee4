#include "launch/doctor_probe.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <fstream>
#include <string_view>

#include "kernels/error.hpp"
#include "launch/build_info.hpp"
#include "launch/threads.hpp"
#include "launch/time_limit.hpp"
#include "runtime/device/cuda_library.hpp"
#include "runtime/weights/hdf5_version.hpp"

namespace tutti {
namespace {

namespace fs = std::filesystem;

// What a report may show of an environment: nothing that could be a secret.
bool is_of_interest(std::string_view name) {
  constexpr std::array<std::string_view, 24> kNames = {"SLURM_JOB_ID",
                                                       "SLURM_JOB_NAME",
                                                       "SLURM_ARRAY_JOB_ID",
                                                       "SLURM_ARRAY_TASK_ID",
                                                       "SLURM_RESTART_COUNT",
                                                       "SLURM_JOB_NODELIST",
                                                       "SLURM_JOB_PARTITION",
                                                       "SLURM_CLUSTER_NAME",
                                                       "SLURM_NTASKS",
                                                       "SLURM_PROCID",
                                                       "SLURM_LOCALID",
                                                       "SLURM_STEP_ID",
                                                       "SLURM_STEP_NUM_TASKS",
                                                       "SLURM_MPI_TYPE",
                                                       "SLURM_CPUS_PER_TASK",
                                                       "SRUN_CPUS_PER_TASK",
                                                       "PMI_RANK",
                                                       "PMI_SIZE",
                                                       "PMIX_RANK",
                                                       "OMPI_COMM_WORLD_SIZE",
                                                       "OMPI_COMM_WORLD_RANK",
                                                       "CUDA_VISIBLE_DEVICES",
                                                       "OMP_NUM_THREADS",
                                                       "HDF5_USE_FILE_LOCKING"};
  for (const std::string_view known : kNames) {
    if (name == known) {
      return true;
    }
  }
  for (const std::string_view prefix :
       {"NCCL_", "UCX_", "OMPI_MCA_btl", "OMPI_MCA_pml", "OMPI_MCA_mtl", "OMPI_MCA_mpi_",
        "OMPI_MCA_oob_", "OMPI_MCA_coll"}) {
    if (name.starts_with(prefix)) {
      return true;
    }
  }
  return false;
}

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> found;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos && is_of_interest(text.substr(0, equals))) {
      found.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return found;
}

void look_at_shared_memory(RankReport& report) {
  struct statvfs room {};
  if (::statvfs("/dev/shm", &room) == 0) {
    report.shm_bytes = std::uint64_t{room.f_blocks} * room.f_frsize;
    report.shm_free_bytes = std::uint64_t{room.f_bavail} * room.f_frsize;
  }
  constexpr std::time_t kOldSeconds = 600;
  std::error_code none;
  for (fs::directory_iterator at("/dev/shm", none), end; !none && at != end; at.increment(none)) {
    const std::string name = at->path().filename().string();
    const bool known = name.starts_with("vader_segment") || name.starts_with("nccl-") ||
                       name.starts_with("psm") || name.starts_with("ucx_shm");
    struct stat info {};
    if (known && ::stat(at->path().c_str(), &info) == 0 && info.st_uid == ::getuid() &&
        info.st_mtime + kOldSeconds < std::time(nullptr)) {
      report.shm_leftovers.push_back(name);
    }
  }
}

std::string nvidia_driver() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string word;
  while (file >> word) {
    if (word.find_first_not_of("0123456789.") == std::string::npos &&
        word.find('.') != std::string::npos) {
      return word;
    }
  }
  return {};
}

}  // namespace

void SystemProbe::look_at_host(RankReport& report) {
  report.rank = mpi_.rank();
  report.world = mpi_.size();
  report.node = mpi_.node_of_rank()[static_cast<std::size_t>(mpi_.rank())];
  report.node_rank = mpi_.node_rank();
  report.host = mpi_.host();
  report.process = static_cast<int>(::getpid());
  report.tutti = version();
  report.mpi = MpiSession::library_version();
  report.hdf5 = hdf5_version();
  report.cpus = allowed_cpus();
  report.online_cpus = online_cpus();
  report.environment = environment();
  rlimit memlock{};
  if (::getrlimit(RLIMIT_MEMLOCK, &memlock) == 0 && memlock.rlim_cur != RLIM_INFINITY) {
    report.memlock_bytes = static_cast<std::int64_t>(memlock.rlim_cur);
  }
  look_at_shared_memory(report);
  if (mpi_.rank() == 0) {  // one asks: squeue is not for all ranks of a large job at once
    const auto left = slurm_time_left();
    report.time_left = left ? left->count() : -1;
  }
}

void SystemProbe::look_at_gpus(RankReport& report, DeviceWish wish) {
  std::error_code none;
  report.gpus_asked = true;
  report.machine_has_gpus = fs::exists("/dev/nvidia0", none);
  report.host_wanted = wish == DeviceWish::host;
  report.driver = nvidia_driver();
  if (report.host_wanted) {
    report.why_no_gpu = "--device host";
    return;
  }
  try {
    const CudaLibrary library = CudaLibrary::open();
    report.cuda = library.versions();
    for (const GpuFacts& gpu : library.gpus()) {
      report.gpus.push_back({.ordinal = gpu.ordinal,
                             .name = gpu.name,
                             .uuid = gpu.uuid,
                             .bus_id = gpu.bus_id,
                             .total_bytes = gpu.total_bytes});
    }
    report.gpu = report.node_rank % static_cast<int>(report.gpus.size());
    const GpuReport& own = report.gpus[static_cast<std::size_t>(report.gpu)];
    for (const auto& [a, b] : library.gpus_apart()) {
      report.gpus_apart.push_back(fmt::format("{}-{}", a, b));
    }
    report.gpu_free_bytes = library.make_device(own.ordinal)->memory().free_bytes;
  } catch (const DeviceError& error) {
    report.why_no_gpu = error.what();
    if (!report.gpus.empty()) {
      throw;  // there is one, and it does not work
    }
  }
}

}  // namespace tutti
