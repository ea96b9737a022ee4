// Tensor collectives among the GPUs of a group. Part of the device library; nccl_library.hpp is how
// the program comes by it.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/comm/collective_call.hpp"
#include "runtime/comm/nccl_fused.hpp"
#include "runtime/comm/nccl_handle.hpp"
#include "runtime/comm/watchdog.hpp"

namespace tutti {

// Which call goes where:
//   all_reduce_add_rmsnorm  few tokens: one own kernel; else NCCL's all-reduce, then add_rmsnorm
//   all_reduce_sum          small: one own kernel; else NCCL. Where own kernels are switched off x
//                           lies in symmetric windows, for which NCCL has kernels of its own
//   all_gather_columns      one row (decode): straight into y, by one all-gather where the columns
//                           are even, else by one group of broadcasts: a launch either way. More
//                           rows: packed to the widest shard, one all-gather in working memory, a
//                           strided copy for each rank; 2 + ranks launches, however many rows.
class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(Device& device, ControlPlane& control, const NcclOptions& options);
  // Without close(): aborts, and leaves the memory to the end of the process.
  ~NcclCommunicator() override;

  int rank() const override { return control_.rank(); }
  int size() const override { return control_.size(); }
  std::string_view name() const override { return name_; }

  void all_reduce_sum(const Exec& exec, const TensorView& x) override;
  void all_reduce_add_rmsnorm(const Exec& exec, const AddRmsnormArgs& args) override;
  void all_gather_columns(const Exec& exec, const TensorView& local,
                          std::span<const std::int64_t> columns, const TensorView& y) override;
  void gather_columns(const Exec& exec, const TensorView& local,
                      std::span<const std::int64_t> columns, const TensorView& y,
                      int root) override;
  DeviceMemory allocate_shared(Device& device, std::size_t bytes, std::string_view what) override;
  bool shares_memory() const override { return symmetric_; }

  void check() override;
  void watch(std::string_view stage) override;
  void close() override;

 private:
  struct Window {
    void* memory = nullptr;
    ncclWindow_t window = nullptr;
  };

  void join();
  std::string set_up_fast_paths();
  void leave();
  void test_paths();
  void test_sum(const char* path, bool fused);
  void start_watchdog();

  CollectiveCall next(const char* collective);
  void gather_one_row(const Exec& exec, const TensorView& local,
                      std::span<const std::int64_t> columns, const TensorView& y);
  void gather_rows(const Exec& exec, const TensorView& local, std::span<const std::int64_t> columns,
                   std::int64_t widest, const TensorView& y);
  void* allocate_window(std::size_t bytes, std::string_view what);
  void wait_until_idle(const char* stage);
  std::string where() const;

  Device& device_;
  ControlPlane& control_;
  NcclOptions options_;
  std::string name_;

  std::shared_ptr<int> stop_;  // on the host, seen by the device: own kernels wait no more
  std::shared_ptr<NcclHandle> handle_;
  std::optional<NcclFused> fused_;
  std::vector<Window> windows_;
  bool symmetric_ = false;
  DeviceMemory staging_memory_;
  float* staging_ = nullptr;

  std::atomic<std::uint64_t> sequence_ = 0;
  std::atomic<const char*> last_ = "none";
  std::optional<Watchdog> watchdog_;  // last: its thread uses the others
  bool closed_ = false;
};

}  // namespace tutti
