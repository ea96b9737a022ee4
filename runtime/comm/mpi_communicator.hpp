// Tensor collectives among MPI ranks, for tensors on the host.
#pragma once

#include <vector>

#include "runtime/comm/collective_call.hpp"
#include "runtime/comm/communicator.hpp"
#include "runtime/comm/mpi_group.hpp"

namespace tutti {

// Sums are our own, in rank order: MPI_Allreduce picks its algorithm, and so the bits, by the size
// of the message. Short ones are exchanged whole and added on every rank; of long ones each rank
// adds a piece and hands the sum to the others. Both add the same numbers in the same order.
class MpiCommunicator final : public Communicator {
 public:
  // Collective over the group, which it duplicates. Must end before the MpiSession.
  explicit MpiCommunicator(const MpiGroup& group);

  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  std::string_view name() const override { return "mpi"; }

  void all_reduce_sum(const Exec& exec, const TensorView& x) override;
  void all_gather_columns(const Exec& exec, const TensorView& local,
                          std::span<const std::int64_t> columns, const TensorView& y) override;
  void gather_columns(const Exec& exec, const TensorView& local,
                      std::span<const std::int64_t> columns, const TensorView& y,
                      int root) override;

 private:
  CollectiveCall next(std::string_view collective);
  void gather_and_add(const CollectiveCall& call, float* x, std::size_t count);
  void add_by_pieces(const CollectiveCall& call, float* x, std::size_t count);
  void gather(const CollectiveCall& call, const Exec& exec, const TensorView& local,
              std::span<const std::int64_t> columns, const TensorView& y, int root);
  void gather_rows(const CollectiveCall& call, const TensorView& local,
                   std::span<const std::int64_t> columns, const TensorView& y, int root);

  MpiGroup group_;
  std::uint64_t sequence_ = 0;
  // Kept between calls, so that a decode step allocates nothing.
  std::vector<float> received_;
  std::vector<float> packed_;
  std::vector<const float*> parts_;
  std::vector<int> piece_counts_, piece_begins_;
  std::vector<int> counts_, begins_;
};

}  // namespace tutti
