// Lays out an HDF5 file of groups, attributes and contiguous datasets. Errors: Error with HDF5's
// reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "kernels/dtype.hpp"
#include "runtime/weights/hdf5_handle.hpp"

namespace tutti {

class Hdf5Writer {
 public:
  // Takes over an existing, empty file. `metadata_bytes` is how much metadata there will be,
  // roughly, so that it lies together and is read in few requests.
  static Hdf5Writer create(const std::filesystem::path& path, std::size_t metadata_bytes);
  static Hdf5Writer open(const std::filesystem::path& path);

  void add_group(const std::string& name);
  void add_bytes(const std::string& name, std::string_view bytes);  // 1-D uint8
  void add_words(const std::string& name, std::size_t count);       // 1-D uint64, to be written
  // Allocated, not filled; from 4 KiB on at a multiple of 4 KiB. Returns where its bytes lie.
  std::uint64_t add_tensor(const std::string& name, DType dtype,
                           std::span<const std::int64_t> shape);
  void add_text(const std::string& object, const std::string& attribute, std::string_view text);
  void add_number(const std::string& object, const std::string& attribute, std::uint64_t number);

  void write_words(const std::string& name, std::span<const std::uint64_t> words);
  // Over an attribute of the same length.
  void write_text(const std::string& object, const std::string& attribute, std::string_view text);

  void close();  // writes all; the destructor does not tell of errors

 private:
  explicit Hdf5Writer(const std::filesystem::path& path) : name_(path.string()) {}
  [[noreturn]] void fail(const std::string& what) const;
  Hdf5Handle add_dataset(const std::string& name, hid_t type, std::span<const std::int64_t> shape);
  Hdf5Handle checked(hid_t id, Hdf5Handle::Close closer, const std::string& what) const;

  std::string name_;
  Hdf5Handle file_;
};

}  // namespace tutti
