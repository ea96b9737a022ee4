// A group with as many ranks on each of several nodes. Small sums go by the nodes' own memory first
// (intra-node), and what each node has come to then crosses the network once for each place on a
// node (inter-node, by rails).
#pragma once

#include <array>
#include <memory>
#include <string>

#include "runtime/comm/communicator.hpp"

namespace tutti {

// A part of the group and its control plane, where it has one of its own, which ends last.
struct GroupLevel {
  std::unique_ptr<ControlPlane> control;
  std::unique_ptr<Communicator> group;
};

// Sums of up to `small_bytes` are made within the nodes, rounded to x's type, and then among the
// ranks that have this one's place on each node; what is larger, and gathers, is left to the whole
// group's own communicator, which spreads a message over all links. All ranks hold the same bits
// where there are two nodes, or the communicators between them add in the same order at every
// place.
class HierarchicalCommunicator final : public Communicator {
 public:
  HierarchicalCommunicator(std::string name, GroupLevel node, GroupLevel between, GroupLevel all,
                           std::size_t small_bytes);

  int rank() const override { return all_.group->rank(); }
  int size() const override { return all_.group->size(); }
  std::string_view name() const override { return name_; }

  void all_reduce_sum(const Exec& exec, const TensorView& x) override;
  void all_reduce_add_rmsnorm(const Exec& exec, const AddRmsnormArgs& args) override;
  void all_gather_columns(const Exec& exec, const TensorView& local,
                          std::span<const std::int64_t> columns, const TensorView& y) override;
  void gather_columns(const Exec& exec, const TensorView& local,
                      std::span<const std::int64_t> columns, const TensorView& y,
                      int root) override;
  // What the node's own sums are fastest with.
  DeviceMemory allocate_shared(Device& device, std::size_t bytes, std::string_view what) override;

  void check() override;
  void watch(std::string_view stage) override;
  void close() override;

 private:
  bool small(const TensorView& x) const { return x.bytes() <= small_bytes_; }
  std::array<Communicator*, 3> groups() const {
    return {node_.group.get(), between_.group.get(), all_.group.get()};
  }

  std::string name_;
  GroupLevel all_, between_, node_;
  std::size_t small_bytes_;
};

}  // namespace tutti
