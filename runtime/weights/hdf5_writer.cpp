#include "runtime/weights/hdf5_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "kernels/error.hpp"
#include "runtime/weights/hdf5_types.hpp"

namespace tutti {
namespace {

constexpr hsize_t kAlignment = 4096;  // bytes; O_DIRECT and GPUDirect Storage want it

// The format of HDF5 1.8: every piece of metadata carries a checksum, so that a damaged file is an
// error of HDF5 and not a wrong pointer; HDF5 of 2008 and later read it. No locking, see the
// reader.
Hdf5Handle access_properties(std::size_t metadata_bytes) {
  Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  if (!access.valid() || H5Pset_file_locking(access.get(), false, true) < 0 ||
      H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG) < 0 ||
      H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_V18) < 0 ||
      H5Pset_alignment(access.get(), kAlignment, kAlignment) < 0 ||
      H5Pset_meta_block_size(access.get(), metadata_bytes) < 0) {
    throw Error("HDF5 options: " + hdf5_error_text());
  }
  return access;
}

// No times, so that the same import makes the same bytes.
Hdf5Handle creation_properties(hid_t kind) {
  Hdf5Handle creation(H5Pcreate(kind), H5Pclose);
  if (!creation.valid() || H5Pset_obj_track_times(creation.get(), false) < 0) {
    throw Error("HDF5 options: " + hdf5_error_text());
  }
  return creation;
}

Hdf5Handle text_type(std::size_t bytes) {
  Hdf5Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  if (!type.valid() || H5Tset_size(type.get(), std::max<std::size_t>(bytes, 1)) < 0 ||
      H5Tset_strpad(type.get(), H5T_STR_NULLPAD) < 0 ||
      H5Tset_cset(type.get(), H5T_CSET_UTF8) < 0) {
    throw Error("HDF5 string type: " + hdf5_error_text());
  }
  return type;
}

}  // namespace

void Hdf5Writer::fail(const std::string& what) const {
  throw Error(fmt::format("{}: {}: {}", name_, what, hdf5_error_text()));
}

Hdf5Handle Hdf5Writer::checked(hid_t id, Hdf5Handle::Close closer, const std::string& what) const {
  if (id < 0) {
    fail(what);
  }
  return {id, closer};
}

Hdf5Writer Hdf5Writer::create(const std::filesystem::path& path, std::size_t metadata_bytes) {
  const Hdf5Scope scope;
  Hdf5Writer writer(path);
  const Hdf5Handle access = access_properties(metadata_bytes);
  const Hdf5Handle creation = creation_properties(H5P_FILE_CREATE);
  if (H5Pset_attr_phase_change(creation.get(), 64, 32) < 0) {  // keep them in the object header
    throw Error("HDF5 options: " + hdf5_error_text());
  }
  writer.file_ =
      writer.checked(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()), H5Fclose,
                     "cannot create an HDF5 file");
  return writer;
}

Hdf5Writer Hdf5Writer::open(const std::filesystem::path& path) {
  const Hdf5Scope scope;
  Hdf5Writer writer(path);
  const Hdf5Handle access = access_properties(4096);
  writer.file_ = writer.checked(H5Fopen(path.c_str(), H5F_ACC_RDWR, access.get()), H5Fclose,
                                "cannot open to write the digests");
  return writer;
}

void Hdf5Writer::add_group(const std::string& name) {
  const Hdf5Scope scope;
  const Hdf5Handle creation = creation_properties(H5P_GROUP_CREATE);
  checked(H5Gcreate2(file_.get(), name.c_str(), H5P_DEFAULT, creation.get(), H5P_DEFAULT), H5Gclose,
          "cannot add group " + name);
}

Hdf5Handle Hdf5Writer::add_dataset(const std::string& name, hid_t type,
                                   std::span<const std::int64_t> shape) {
  const std::vector<hsize_t> extents(shape.begin(), shape.end());
  const Hdf5Handle space =
      checked(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr), H5Sclose,
              "cannot shape " + name);
  const Hdf5Handle creation = creation_properties(H5P_DATASET_CREATE);
  if (H5Pset_layout(creation.get(), H5D_CONTIGUOUS) < 0 ||
      H5Pset_alloc_time(creation.get(), H5D_ALLOC_TIME_EARLY) < 0 ||
      H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER) < 0) {
    fail("cannot lay out " + name);
  }
  return checked(H5Dcreate2(file_.get(), name.c_str(), type, space.get(), H5P_DEFAULT,
                            creation.get(), H5P_DEFAULT),
                 H5Dclose, "cannot add " + name);
}

void Hdf5Writer::add_bytes(const std::string& name, std::string_view bytes) {
  const Hdf5Scope scope;
  const std::int64_t size[] = {static_cast<std::int64_t>(bytes.size())};
  const Hdf5Handle dataset = add_dataset(name, H5T_STD_U8LE, size);
  if (!bytes.empty() &&
      H5Dwrite(dataset.get(), H5T_STD_U8LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()) < 0) {
    fail("cannot write " + name);
  }
}

void Hdf5Writer::add_words(const std::string& name, std::size_t count) {
  const Hdf5Scope scope;
  const std::int64_t size[] = {static_cast<std::int64_t>(count)};
  add_dataset(name, H5T_STD_U64LE, size);
}

std::uint64_t Hdf5Writer::add_tensor(const std::string& name, DType dtype,
                                     std::span<const std::int64_t> shape) {
  const Hdf5Scope scope;
  const Hdf5Handle dataset = add_dataset(name, hdf5_type(dtype).get(), shape);
  const haddr_t address = H5Dget_offset(dataset.get());
  if (address == HADDR_UNDEF) {
    fail("no place in the file for " + name);
  }
  return address;
}

void Hdf5Writer::add_text(const std::string& object, const std::string& attribute,
                          std::string_view text) {
  const Hdf5Scope scope;
  const Hdf5Handle type = text_type(text.size());
  const Hdf5Handle space = checked(H5Screate(H5S_SCALAR), H5Sclose, "cannot add " + attribute);
  const Hdf5Handle added =
      checked(H5Acreate_by_name(file_.get(), object.c_str(), attribute.c_str(), type.get(),
                                space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
              H5Aclose, fmt::format("cannot add attribute {} to {}", attribute, object));
  const std::string padded = text.empty() ? std::string(1, '\0') : std::string(text);
  if (H5Awrite(added.get(), type.get(), padded.data()) < 0) {
    fail(fmt::format("cannot write attribute {} of {}", attribute, object));
  }
}

void Hdf5Writer::add_number(const std::string& object, const std::string& attribute,
                            std::uint64_t number) {
  const Hdf5Scope scope;
  const Hdf5Handle space = checked(H5Screate(H5S_SCALAR), H5Sclose, "cannot add " + attribute);
  const Hdf5Handle added =
      checked(H5Acreate_by_name(file_.get(), object.c_str(), attribute.c_str(), H5T_STD_U64LE,
                                space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
              H5Aclose, fmt::format("cannot add attribute {} to {}", attribute, object));
  if (H5Awrite(added.get(), H5T_NATIVE_UINT64, &number) < 0) {
    fail(fmt::format("cannot write attribute {} of {}", attribute, object));
  }
}

void Hdf5Writer::write_words(const std::string& name, std::span<const std::uint64_t> words) {
  const Hdf5Scope scope;
  const Hdf5Handle dataset =
      checked(H5Dopen2(file_.get(), name.c_str(), H5P_DEFAULT), H5Dclose, "cannot open " + name);
  if (H5Dwrite(dataset.get(), H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, words.data()) < 0) {
    fail("cannot write " + name);
  }
}

void Hdf5Writer::write_text(const std::string& object, const std::string& attribute,
                            std::string_view text) {
  const Hdf5Scope scope;
  const std::string what = fmt::format("attribute {} of {}", attribute, object);
  // The object stays open meanwhile: HDF5 1.10.8 does not write to what H5Aopen_by_name gives here.
  const Hdf5Handle owner =
      checked(H5Oopen(file_.get(), object.c_str(), H5P_DEFAULT), H5Oclose, "cannot open " + object);
  const Hdf5Handle opened = checked(H5Aopen(owner.get(), attribute.c_str(), H5P_DEFAULT), H5Aclose,
                                    "cannot open " + what);
  const Hdf5Handle type(H5Aget_type(opened.get()), H5Tclose);
  if (H5Tget_size(type.get()) != text.size() ||
      H5Awrite(opened.get(), type.get(), text.data()) < 0) {
    fail("cannot write " + what);
  }
}

void Hdf5Writer::close() {
  const Hdf5Scope scope;
  if (H5Fflush(file_.get(), H5F_SCOPE_GLOBAL) < 0) {
    fail("cannot be written");
  }
  if (!file_.reset()) {
    fail("cannot be closed");
  }
}

}  // namespace tutti
