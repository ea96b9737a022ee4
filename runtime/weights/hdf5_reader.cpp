#include "runtime/weights/hdf5_reader.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/error.hpp"

namespace tutti {
namespace {

struct Members {
  std::vector<std::string> names;
  std::string foreign;  // the first link that leaves the file or its place
};

herr_t collect(hid_t /*group*/, const char* name, const H5L_info_t* info, void* data) {
  auto& members = *static_cast<Members*>(data);
  if (info->type != H5L_TYPE_HARD) {
    members.foreign = name;
    return 1;
  }
  members.names.emplace_back(name);
  return 0;
}

const char* kind_of(H5O_type_t type) {
  return type == H5O_TYPE_GROUP ? "group" : "dataset";
}

}  // namespace

Hdf5Reader::Hdf5Reader(const std::filesystem::path& path, std::uint64_t file_bytes)
    : name_(path.string()), file_bytes_(file_bytes) {
  const Hdf5Scope scope;
  const Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  if (!access.valid() || H5Pset_file_locking(access.get(), false, true) < 0 ||
      H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG) < 0) {
    fail("HDF5 options: " + hdf5_error_text());
  }
  file_ = Hdf5Handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()), H5Fclose);
  if (!file_.valid()) {
    fail(
        fmt::format("HDF5 cannot open it: {}; wanted a whole model file, found {} bytes: cut "
                    "short or damaged, copy or import it again",
                    hdf5_error_text(), file_bytes));
  }
}

void Hdf5Reader::fail(const std::string& what) const {
  throw ModelFileError(name_ + ": " + what);
}

bool Hdf5Reader::has(const std::string& name) const {
  const Hdf5Scope scope;
  const htri_t found = H5Lexists(file_.get(), name.c_str(), H5P_DEFAULT);
  if (found < 0) {
    fail(fmt::format("cannot look for '{}': {}", name, hdf5_error_text()));
  }
  return found > 0;
}

Hdf5Handle Hdf5Reader::open(const std::string& name, H5O_type_t wanted) const {
  if (name != "/" && !has(name)) {
    fail(
        fmt::format("has no {} '{}', which every model file has; cut short, or not written by "
                    "`tutti import`",
                    kind_of(wanted), name));
  }
  Hdf5Handle object(H5Oopen(file_.get(), name.c_str(), H5P_DEFAULT), H5Oclose);
  if (!object.valid()) {
    fail(fmt::format("cannot open '{}': {}; the file is damaged", name, hdf5_error_text()));
  }
  const H5I_type_t found = H5Iget_type(object.get());
  if (found != (wanted == H5O_TYPE_GROUP ? H5I_GROUP : H5I_DATASET)) {
    fail(fmt::format("'{}' is not a {} as wanted", name, kind_of(wanted)));
  }
  return object;
}

Hdf5Object Hdf5Reader::group(const std::string& name) const {
  const Hdf5Scope scope;
  return {fmt::format("{}: {}", name_, name), open(name, H5O_TYPE_GROUP)};
}

Hdf5Dataset Hdf5Reader::dataset(const std::string& name) const {
  const Hdf5Scope scope;
  return {fmt::format("{}: {}", name_, name), open(name, H5O_TYPE_DATASET), file_bytes_};
}

std::vector<std::string> Hdf5Reader::members(const std::string& group_name) const {
  const Hdf5Scope scope;
  const Hdf5Handle parent = open(group_name, H5O_TYPE_GROUP);
  Members members;
  hsize_t position = 0;
  if (H5Literate(parent.get(), H5_INDEX_NAME, H5_ITER_NATIVE, &position, collect, &members) < 0) {
    fail(fmt::format("cannot list '{}': {}; the file is damaged", group_name, hdf5_error_text()));
  }
  if (!members.foreign.empty()) {
    fail(fmt::format("'{}/{}' is a link, wanted the data itself", group_name, members.foreign));
  }
  std::sort(members.names.begin(), members.names.end());
  return members.names;
}

}  // namespace tutti
