// How a group of GPUs comes together, finds out what it can do, proves it, and parts.
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "kernels/cuda_context.cuh"
#include "kernels/error.hpp"
#include "runtime/comm/nccl_communicator.hpp"

namespace tutti {
namespace {

using std::chrono::steady_clock;

constexpr const char* kStaging = "the working memory of gathers";

std::shared_ptr<int> make_stop_word() {
  void* word = nullptr;
  TUTTI_CUDA(cudaHostAlloc(&word, sizeof(int), cudaHostAllocPortable | cudaHostAllocMapped));
  *static_cast<int*>(word) = 0;
  return {static_cast<int*>(word), [](int* p) { cudaFreeHost(p); }};
}

int current_gpu() {
  int gpu = 0;
  TUTTI_CUDA(cudaGetDevice(&gpu));
  return gpu;
}

cudaStream_t stream_of(const Device& device) {
  return static_cast<cudaStream_t>(device.exec().stream);
}

// Own kernels that are told to stop do so within milliseconds each. They read memory of the group,
// which its end takes away. NCCL's kernels end only with the group: no long wait.
void stop_own_kernels(int& stop, int gpu, cudaStream_t stream) {
  constexpr std::chrono::seconds kPatience{1};
  stop = 1;
  const auto begin = steady_clock::now();
  if (cudaSetDevice(gpu) != cudaSuccess) {
    return;
  }
  while (cudaStreamQuery(stream) == cudaErrorNotReady && steady_clock::now() - begin < kPatience) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// NCCL's device structures are those of one version: what was built against another one than is
// loaded must not touch them. Empty where both are the same.
std::string version_trouble(const std::string& where) {
  int loaded = 0;
  const ncclResult_t result = ncclGetVersion(&loaded);
  if (result != ncclSuccess) {
    throw_nccl_error(result, where, "ncclGetVersion");
  }
  const std::string words =
      fmt::format("NCCL {} is loaded, this was built against {}", nccl_version_text(loaded),
                  nccl_version_text(NCCL_VERSION_CODE));
  if (loaded / 10000 != NCCL_MAJOR) {
    throw CommError(fmt::format("{}: {}", where, words));
  }
  return loaded == NCCL_VERSION_CODE ? std::string() : words;
}

}  // namespace

NcclCommunicator::NcclCommunicator(Device& device, ControlPlane& control,
                                   const NcclOptions& options)
    : device_(device), control_(control), options_(options), stop_(make_stop_word()) {
  if (options_.gather_bytes < 4096) {
    throw ConfigError(fmt::format("{}: gather_bytes wants 4096 or more, found {}", where(),
                                  options_.gather_bytes));
  }
  const std::string versions = version_trouble(where());
  join();
  std::string why_plain;
  std::string details;
  if (!options.one_node) {
    why_plain = "the group spans nodes";
  } else if (!options.symmetric) {
    why_plain = "switched off";
  } else if (!versions.empty()) {
    why_plain = versions;
  } else {
    details = set_up_fast_paths();
    if (!details.empty()) {
      why_plain = "these GPUs share no memory";
      leave();  // a call that failed may have left the communicator unusable: join anew
      join();
    }
  }
  symmetric_ = why_plain.empty();
  if (!symmetric_ && options.warn && options.symmetric) {
    options.warn(fmt::format("sums go by plain NCCL, which takes longer: {}{}", why_plain,
                             details.empty() ? "" : fmt::format(" ({})", details)));
  }
  name_ = symmetric_         ? fmt::format("nccl symmetric{}", options.fused ? ", own kernels" : "")
          : why_plain.size() ? fmt::format("nccl plain ({})", why_plain)
                             : "nccl plain";
  if (staging_ == nullptr) {
    staging_memory_ = device_.allocate(options_.gather_bytes, kStaging);
    staging_ = reinterpret_cast<float*>(staging_memory_.data());
  }
  if (options_.stage) {
    options_.stage("self-test");
  }
  test_paths();
  start_watchdog();
}

NcclCommunicator::~NcclCommunicator() {
  watchdog_.reset();
  if (!closed_) {
    *stop_ = 1;
  }
}

// The group's name from rank 0 to all, then all at once.
void NcclCommunicator::join() {
  ncclUniqueId id{};
  std::vector<std::byte> bytes;
  std::string trouble;
  if (rank() == 0) {
    const ncclResult_t result = ncclGetUniqueId(&id);
    bytes.resize(sizeof id);
    std::memcpy(bytes.data(), &id, sizeof id);
    if (result != ncclSuccess) {
      bytes.clear();
      trouble = fmt::format("ncclGetUniqueId failed: {}", ncclGetErrorString(result));
    }
  }
  control_.broadcast(bytes, 0);
  if (bytes.size() != sizeof id) {
    throw CommError(fmt::format("{}: no name for the group: {}", where(),
                                trouble.empty() ? "rank 0 failed" : trouble));
  }
  std::memcpy(&id, bytes.data(), sizeof id);
  handle_ = std::make_shared<NcclHandle>(id, rank(), size(), where(), options_);
}

// Empty, or why this group has none of them; the same on all ranks.
std::string NcclCommunicator::set_up_fast_paths() {
  std::string trouble;
  try {
    fused_.emplace(*handle_, rank(), size(), stop_.get(), options_);
  } catch (const Error& error) {
    trouble = error.what();
  }
  trouble = first_text(control_, trouble);
  if (!trouble.empty()) {
    return trouble;
  }
  try {
    staging_ = static_cast<float*>(allocate_window(options_.gather_bytes, kStaging));
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

// What was set up is forgotten; the device's memory of it lasts until the process ends.
void NcclCommunicator::leave() {
  fused_.reset();
  windows_.clear();
  staging_ = nullptr;
  handle_.reset();
}

// Throws on all ranks alike.
void* NcclCommunicator::allocate_window(std::size_t bytes, std::string_view what) {
  Window made;
  std::string trouble;
  if (ncclResult_t result = ncclMemAlloc(&made.memory, bytes); result != ncclSuccess) {
    const DeviceMemoryInfo info = device_.memory();
    trouble = fmt::format("{}: {} needs {} bytes of shared memory, {} of {} are free on {}: {}",
                          where(), what, bytes, info.free_bytes, info.total_bytes, device_.name(),
                          ncclGetErrorString(result));
    cudaGetLastError();
  }
  // Before the collective call, which would wait for a rank without memory.
  if (trouble = first_text(control_, trouble); !trouble.empty()) {
    ncclMemFree(made.memory);
    throw CapacityError(trouble);
  }
  try {
    handle_->run("ncclCommWindowRegister", [&] {
      return ncclCommWindowRegister(handle_->get(), made.memory, bytes, &made.window,
                                    NCCL_WIN_COLL_SYMMETRIC);
    });
    handle_->wait_until("ncclCommWindowRegister", [&] { return made.window != nullptr; });
    if (made.window == nullptr) {  // NCCL says success where it has registered nothing
      trouble = fmt::format("{}: NCCL made no window of {} bytes for {}", where(), bytes, what);
    }
  } catch (const CommError& error) {
    trouble = error.what();
  }
  if (trouble = first_text(control_, trouble); !trouble.empty()) {
    throw CommError(trouble);
  }
  windows_.push_back(made);
  return made.memory;
}

DeviceMemory NcclCommunicator::allocate_shared(Device& device, std::size_t bytes,
                                               std::string_view what) {
  // What own kernels leave to NCCL is large, and there its symmetric kernels take longer than those
  // for memory of no window (docs/benchmarks_kernels.md).
  if (!symmetric_ || options_.fused || bytes == 0) {
    return device.allocate(bytes, what);
  }
  // Freed by close(): its end is collective, and an owner's is not.
  return {allocate_window(bytes, what), bytes, [](void*, std::size_t) noexcept {}};
}

void NcclCommunicator::wait_until_idle(const char* stage) {
  const cudaStream_t stream = stream_of(device_);
  const auto begin = steady_clock::now();
  for (;;) {
    const cudaError_t result = cudaStreamQuery(stream);
    if (result == cudaSuccess) {
      return;
    }
    if (result != cudaErrorNotReady) {
      check_cuda(result, stage);
    }
    if (const std::string error = handle_->async_error(); !error.empty()) {
      stop_own_kernels(*stop_, current_gpu(), stream);
      throw CommError(fmt::format("{}: {}: {}", where(), stage, error));
    }
    if (steady_clock::now() - begin > options_.join_deadline) {
      stop_own_kernels(*stop_, current_gpu(), stream);
      throw CommError(fmt::format("{}: {} did not end within {:.1f} s", where(), stage,
                                  std::chrono::duration<double>(options_.join_deadline).count()));
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

// Sums of small numbers, which are exact in any order.
void NcclCommunicator::test_sum(const char* path, bool fused) {
  constexpr std::size_t kCount = 1024;
  std::vector<float> x(kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    x[i] = static_cast<float>(static_cast<int>(i % 16) * (rank() + 1));
  }
  const Exec exec = device_.exec();
  const TensorView view(staging_, DType::f32, Place::cuda, {1, static_cast<std::int64_t>(kCount)});
  device_.copy_in(staging_, x.data(), view.bytes());
  if (fused) {
    fused_->sum(exec, view);
  } else {
    handle_->run("ncclAllReduce", [&] {
      return ncclAllReduce(staging_, staging_, kCount, ncclFloat32, ncclSum, handle_->get(),
                           static_cast<cudaStream_t>(exec.stream));
    });
  }
  wait_until_idle("the test sum");
  device_.copy_out(x.data(), staging_, view.bytes());
  device_.synchronize();
  for (std::size_t i = 0; i < kCount; ++i) {
    const auto wanted = static_cast<float>(static_cast<int>(i % 16) * size() * (size() + 1) / 2);
    if (x[i] != wanted) {
      throw CommError(fmt::format("{}: the test sum by {}: element {} wanted {}, found {}", where(),
                                  path, i, wanted, x[i]));
    }
  }
}

void NcclCommunicator::test_paths() {
  test_sum("NCCL", false);
  if (fused_ && options_.fused) {
    test_sum("own kernels", true);  // twice: two epochs, two buffers
    test_sum("own kernels", true);
  }
}

void NcclCommunicator::start_watchdog() {
  const auto handle = handle_;
  const auto stop = stop_;
  watchdog_.emplace(
      Watchdog::Hooks{.poll = [handle] { return handle->async_error(); },
                      .progress =
                          [this] {
                            return fmt::format("the last call was {} #{}", last_.load(),
                                               sequence_.load());
                          },
                      .abort =
                          [handle, stop, gpu = current_gpu(), stream = stream_of(device_)] {
                            stop_own_kernels(*stop, gpu, stream);
                            handle->abort();
                          },
                      .report =
                          [where = where(), failed = options_.failed](const std::string& why) {
                            if (failed) {
                              failed(fmt::format("{}: {}", where, why));
                            }
                          }},
      Watchdog::Times{.wait_deadline = options_.wait_deadline,
                      .abort_deadline = options_.abort_deadline});
}

// Everything is given back while all ranks are still there.
void NcclCommunicator::close() {
  if (closed_) {
    return;
  }
  check();
  watch("the group's end");
  wait_until_idle("the group's last work");
  control_.barrier();  // no peer writes into this rank's memory any more
  if (fused_) {
    fused_->close(*handle_);
  }
  for (const Window& window : windows_) {
    handle_->run("ncclCommWindowDeregister",
                 [&] { return ncclCommWindowDeregister(handle_->get(), window.window); });
    ncclMemFree(window.memory);
  }
  windows_.clear();
  handle_->finish();
  watchdog_->stop();
  closed_ = true;
}

}  // namespace tutti
