#include "launch/build_info.hpp"

#include <fmt/format.h>

#include "kernels/host_library.hpp"
#include "launch/git_commit.hpp"  // made by .cmake/git_commit.cmake
#include "runtime/comm/mpi_session.hpp"
#include "runtime/weights/hdf5_version.hpp"

namespace tutti {
namespace {

std::string compiler() {
#if defined(__clang__)
  return fmt::format("clang {}", __clang_version__);
#else
  return fmt::format("g++ {}", __VERSION__);
#endif
}

}  // namespace

std::string version() {
  return fmt::format("{} ({})", TUTTI_VERSION, TUTTI_GIT_COMMIT);
}

std::string version_text() {
  std::string text = fmt::format("tutti {}\n", version());
  const auto row = [&](const char* name, const std::string& value) {
    text += fmt::format("  {:<9} {}\n", name, value);
  };
  row("compiler", fmt::format("{}, {} build", compiler(), TUTTI_BUILD_TYPE));
  row("MPI", MpiSession::library_version());
  row("HDF5", hdf5_version());
  row("BLAS", host_gemm_library());
  row("CUDA", TUTTI_CUDA_VERSION);
#ifdef _OPENMP
  row("OpenMP", fmt::to_string(_OPENMP));
#else
  row("OpenMP", "not built in");
#endif
  return text;
}

}  // namespace tutti
