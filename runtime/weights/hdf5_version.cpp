#include "runtime/weights/hdf5_version.hpp"

#include <fmt/format.h>
#include <hdf5.h>

namespace tutti {

std::string hdf5_version() {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned release = 0;
  return H5get_libversion(&major, &minor, &release) < 0
             ? std::string("unknown")
             : fmt::format("{}.{}.{}", major, minor, release);
}

}  // namespace tutti
