#include "runtime/comm/nccl_library.hpp"

#include "runtime/comm/local_communicator.hpp"

namespace tutti {

std::unique_ptr<Communicator> make_nccl_communicator(const CudaLibrary& library, Device& device,
                                                     ControlPlane& control,
                                                     const NcclOptions& options) {
  if (control.size() == 1 && !options.even_alone) {
    return std::make_unique<LocalCommunicator>();
  }
  auto* make = reinterpret_cast<MakeNcclCommunicator*>(library.entry(kMakeNcclCommunicator));
  return std::unique_ptr<Communicator>(make(device, control, options));
}

std::string nccl_version(const CudaLibrary& library) {
  return nccl_version_text(reinterpret_cast<NcclVersion*>(library.entry(kNcclVersion))());
}

}  // namespace tutti
