// The entries of the device library that nccl_library.cpp looks up by name.
#include <nccl.h>

#include "runtime/comm/nccl_communicator.hpp"

extern "C" {

tutti::MakeNcclCommunicator tutti_make_nccl_communicator;
tutti::NcclVersion tutti_nccl_version;

tutti::Communicator* tutti_make_nccl_communicator(tutti::Device& device,
                                                  tutti::ControlPlane& control,
                                                  const tutti::NcclOptions& options) {
  return std::make_unique<tutti::NcclCommunicator>(device, control, options).release();
}

int tutti_nccl_version() {
  int version = 0;
  return ncclGetVersion(&version) == ncclSuccess ? version : 0;
}
}
