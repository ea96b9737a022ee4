// Reads groups, attributes and datasets of an HDF5 file, strictly: what is not as wanted is a
// ModelFileError that names file, object, wanted and found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/dtype.hpp"
#include "runtime/weights/hdf5_handle.hpp"

namespace tutti {

class Hdf5Reader;

// An open group or dataset.
class Hdf5Object {
 public:
  bool has_attribute(const std::string& name) const;
  std::string text(const std::string& name) const;     // a fixed-length string attribute
  std::int64_t number(const std::string& name) const;  // a scalar integer attribute
  const std::string& where() const { return where_; }  // "m.h5: weights/norm"

 protected:
  friend class Hdf5Reader;
  Hdf5Object(std::string where, Hdf5Handle handle)
      : where_(std::move(where)), handle_(std::move(handle)) {}
  Hdf5Handle attribute(const std::string& name) const;
  [[noreturn]] void fail(const std::string& what) const;

  std::string where_;
  Hdf5Handle handle_;
};

class Hdf5Dataset : public Hdf5Object {
 public:
  const std::vector<std::int64_t>& shape() const { return shape_; }
  std::optional<DType> dtype() const;
  std::string type_text() const;  // "bf16", "float of 64 bits"
  std::uint64_t elements() const;
  std::size_t element_bytes() const;
  // Where the bytes lie in the file as one run, or nothing where they do not (chunks, filters).
  std::optional<std::uint64_t> offset() const { return offset_; }

  std::string bytes() const;                 // all of a 1-D uint8 dataset
  std::vector<std::uint64_t> words() const;  // all of a 1-D little-endian uint64 dataset
  // Rows [first, first + count) in the file's own type. The slow way, for any layout.
  void read_rows(std::int64_t first, std::int64_t count, std::span<std::byte> to) const;

 private:
  friend class Hdf5Reader;
  Hdf5Dataset(std::string where, Hdf5Handle handle, std::uint64_t file_bytes);
  void check_storage(std::uint64_t file_bytes);
  void read_all(hid_t wanted_type, const char* wanted, void* to) const;

  Hdf5Handle type_;
  std::vector<std::int64_t> shape_;
  std::optional<std::uint64_t> offset_;
};

// Without file locking: weights are read only, and Lustre, NFS and read-only mounts refuse locks.
class Hdf5Reader {
 public:
  Hdf5Reader(const std::filesystem::path& path, std::uint64_t file_bytes);

  Hdf5Object group(const std::string& name) const;  // "/" is the root
  Hdf5Dataset dataset(const std::string& name) const;
  bool has(const std::string& name) const;  // for names without '/', or whose group exists
  // Names of a group's members, sorted. Links to other places and files are refused.
  std::vector<std::string> members(const std::string& group_name) const;

 private:
  [[noreturn]] void fail(const std::string& what) const;
  Hdf5Handle open(const std::string& name, H5O_type_t wanted) const;

  std::string name_;
  std::uint64_t file_bytes_;
  Hdf5Handle file_;
};

}  // namespace tutti
