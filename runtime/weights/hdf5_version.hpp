// Which HDF5 is at work, for `tutti --version`.
#pragma once

#include <string>

namespace tutti {

// "1.10.8": of the library that runs, not of the headers.
std::string hdf5_version();

}  // namespace tutti
