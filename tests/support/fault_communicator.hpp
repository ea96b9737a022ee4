// A communicator that fails or dawdles at a chosen call, to see what the others make of it.
#pragma once

#include <chrono>
#include <string_view>

#include "runtime/comm/communicator.hpp"

namespace tutti {

struct Fault {
  int rank = 0;                       // where it happens
  std::uint64_t call = 1;             // before which of this communicator's collectives, from 1
  std::chrono::milliseconds delay{};  // wait this long, …
  bool fail = true;                   // … then throw CommError
};

// Passes everything on to `inner`, which must live longer.
class FaultCommunicator final : public Communicator {
 public:
  FaultCommunicator(Communicator& inner, const Fault& fault) : inner_(inner), fault_(fault) {}

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  std::string_view name() const override { return inner_.name(); }
  std::uint64_t calls() const { return calls_; }

  void all_reduce_sum(const Exec& exec, const TensorView& x) override;
  void all_reduce_add_rmsnorm(const Exec& exec, const AddRmsnormArgs& args) override;
  void all_gather_columns(const Exec& exec, const TensorView& local,
                          std::span<const std::int64_t> columns, const TensorView& y) override;
  void gather_columns(const Exec& exec, const TensorView& local,
                      std::span<const std::int64_t> columns, const TensorView& y,
                      int root) override;
  DeviceMemory allocate_shared(Device& device, std::size_t bytes, std::string_view what) override {
    return inner_.allocate_shared(device, bytes, what);
  }
  void check() override { inner_.check(); }
  void watch(std::string_view stage) override { inner_.watch(stage); }
  void close() override { inner_.close(); }

 private:
  void count(std::string_view collective);

  Communicator& inner_;
  Fault fault_;
  std::uint64_t calls_ = 0;
};

}  // namespace tutti
