// The communicator of a group of GPUs on one node or several.
#pragma once

#include <memory>
#include <span>

#include "runtime/comm/mpi_group.hpp"
#include "runtime/comm/nccl_library.hpp"

namespace tutti {

// Collective over `ranks`, whose control plane `control` is. On one node as
// make_nccl_communicator; with the same number of ranks, two or more, on each of several nodes, all
// of which share memory, hierarchical (HierarchicalCommunicator); else plain NCCL over all, also
// where options.equal_bits wants it. `options.one_node` follows from `node_of_rank`, one number for
// each rank, equal for ranks of one node. Errors: as make_nccl_communicator.
std::unique_ptr<Communicator> make_gpu_group(const CudaLibrary& library, Device& device,
                                             const MpiGroup& ranks, ControlPlane& control,
                                             std::span<const int> node_of_rank,
                                             NcclOptions options);

}  // namespace tutti
