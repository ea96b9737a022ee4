// Attributes and datasets, as hdf5_reader.hpp declares them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "kernels/error.hpp"
#include "runtime/weights/hdf5_reader.hpp"
#include "runtime/weights/hdf5_types.hpp"

namespace tutti {
namespace {

constexpr std::size_t kMaxText = std::size_t{1} << 20;       // bytes of an attribute
constexpr std::uint64_t kMaxExpansion = 1000;                // of a compressed dataset
constexpr std::uint64_t kMaxEntry = std::uint64_t{1} << 30;  // bytes of a config or tokenizer file

Hdf5Handle property_list(hid_t dataset) {
  return {H5Dget_create_plist(dataset), H5Pclose};
}

}  // namespace

void Hdf5Object::fail(const std::string& what) const {
  throw ModelFileError(where_ + ": " + what);
}

bool Hdf5Object::has_attribute(const std::string& name) const {
  const Hdf5Scope scope;
  return H5Aexists(handle_.get(), name.c_str()) > 0;
}

Hdf5Handle Hdf5Object::attribute(const std::string& name) const {
  if (!has_attribute(name)) {
    fail(fmt::format("has no attribute '{}', which docs/model_file.md wants", name));
  }
  Hdf5Handle attribute(H5Aopen(handle_.get(), name.c_str(), H5P_DEFAULT), H5Aclose);
  if (!attribute.valid()) {
    fail(fmt::format("attribute '{}': {}", name, hdf5_error_text()));
  }
  const Hdf5Handle space(H5Aget_space(attribute.get()), H5Sclose);
  if (H5Sget_simple_extent_type(space.get()) != H5S_SCALAR) {
    fail(fmt::format("attribute '{}' is an array, wanted one value", name));
  }
  return attribute;
}

std::string Hdf5Object::text(const std::string& name) const {
  const Hdf5Scope scope;
  const Hdf5Handle opened = attribute(name);
  const Hdf5Handle type(H5Aget_type(opened.get()), H5Tclose);
  if (H5Tget_class(type.get()) != H5T_STRING || H5Tis_variable_str(type.get()) != 0) {
    fail(fmt::format("attribute '{}' is {}, wanted a string of fixed length", name,
                     H5Tget_class(type.get()) == H5T_STRING ? "a string of variable length"
                                                            : describe_type(type.get())));
  }
  const std::size_t size = H5Tget_size(type.get());
  if (size > kMaxText) {
    fail(fmt::format("attribute '{}' has {} bytes, wanted at most {}", name, size, kMaxText));
  }
  std::string value(size, '\0');
  if (H5Aread(opened.get(), type.get(), value.data()) < 0) {
    fail(fmt::format("attribute '{}': {}", name, hdf5_error_text()));
  }
  value.resize(std::min(value.size(), value.find('\0')));
  return value;
}

std::int64_t Hdf5Object::number(const std::string& name) const {
  const Hdf5Scope scope;
  const Hdf5Handle opened = attribute(name);
  const Hdf5Handle type(H5Aget_type(opened.get()), H5Tclose);
  if (H5Tget_class(type.get()) != H5T_INTEGER) {
    fail(fmt::format("attribute '{}' is {}, wanted an integer", name, describe_type(type.get())));
  }
  std::int64_t value = 0;
  if (H5Aread(opened.get(), H5T_NATIVE_INT64, &value) < 0) {
    fail(fmt::format("attribute '{}': {}", name, hdf5_error_text()));
  }
  return value;
}

Hdf5Dataset::Hdf5Dataset(std::string where, Hdf5Handle handle, std::uint64_t file_bytes)
    : Hdf5Object(std::move(where), std::move(handle)), type_(H5Dget_type(handle_.get()), H5Tclose) {
  const Hdf5Handle space(H5Dget_space(handle_.get()), H5Sclose);
  const int dims = space.valid() ? H5Sget_simple_extent_ndims(space.get()) : -1;
  if (!type_.valid() || dims < 0 || H5Sget_simple_extent_type(space.get()) == H5S_NULL) {
    fail("type or shape cannot be read: " + hdf5_error_text());
  }
  std::vector<hsize_t> extents(static_cast<std::size_t>(dims));
  H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr);
  std::uint64_t bytes = element_bytes();
  for (hsize_t extent : extents) {
    if (__builtin_mul_overflow(bytes, extent, &bytes) || bytes > INT64_MAX) {
      fail(fmt::format("has the absurd shape [{}]", fmt::join(extents, ", ")));
    }
  }
  shape_.assign(extents.begin(), extents.end());
  check_storage(file_bytes);
}

// A shape that the file has no bytes for would read as fill values; bytes elsewhere are not ours.
void Hdf5Dataset::check_storage(std::uint64_t file_bytes) {
  const std::uint64_t bytes = elements() * element_bytes();
  const Hdf5Handle properties = property_list(handle_.get());
  const H5D_layout_t layout = H5Pget_layout(properties.get());
  if (layout < 0 || layout == H5D_VIRTUAL || H5Pget_external_count(properties.get()) != 0) {
    fail("its data lie outside this file, wanted all in one");
  }
  if (bytes == 0) {
    return;
  }
  const std::uint64_t stored = H5Dget_storage_size(handle_.get());
  const bool plain = layout == H5D_CONTIGUOUS;
  if (stored == 0 || (plain && stored != bytes) || (bytes - 1) / kMaxExpansion >= file_bytes ||
      (plain && bytes > file_bytes)) {
    fail(fmt::format("[{}] wants {} bytes, the file of {} bytes holds {} of it",
                     fmt::join(shape_, ", "), bytes, file_bytes, stored));
  }
  const haddr_t address = plain ? H5Dget_offset(handle_.get()) : HADDR_UNDEF;
  H5Eclear2(H5E_DEFAULT);
  if (address != HADDR_UNDEF) {
    if (address > file_bytes - bytes) {
      fail(
          fmt::format("its {} bytes at {} end behind the file's end at {}; cut short, copy or "
                      "import it again",
                      bytes, static_cast<std::uint64_t>(address), file_bytes));
    }
    offset_ = address;
  }
}

std::optional<DType> Hdf5Dataset::dtype() const {
  const Hdf5Scope scope;
  return dtype_of(type_.get());
}

std::string Hdf5Dataset::type_text() const {
  const Hdf5Scope scope;
  const std::optional<DType> known = dtype_of(type_.get());
  return known ? std::string(name_of(*known)) : describe_type(type_.get());
}

std::size_t Hdf5Dataset::element_bytes() const {
  return H5Tget_size(type_.get());
}

std::uint64_t Hdf5Dataset::elements() const {
  std::uint64_t n = 1;
  for (std::int64_t extent : shape_) {
    n *= static_cast<std::uint64_t>(extent);
  }
  return n;
}

void Hdf5Dataset::read_all(hid_t wanted_type, const char* wanted, void* to) const {
  if (shape_.size() != 1 || H5Tequal(type_.get(), wanted_type) <= 0) {
    fail(fmt::format("is {} [{}], wanted one dimension of {}", type_text(), fmt::join(shape_, ", "),
                     wanted));
  }
  if (shape_[0] > 0 && H5Dread(handle_.get(), type_.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, to) < 0) {
    fail("cannot be read: " + hdf5_error_text());
  }
}

std::string Hdf5Dataset::bytes() const {
  const Hdf5Scope scope;
  const std::uint64_t size = elements() * element_bytes();
  if (size > kMaxEntry) {
    fail(fmt::format("has {} bytes, wanted at most {}", size, kMaxEntry));
  }
  std::string all(size, '\0');
  read_all(H5T_STD_U8LE, "uint8", all.data());
  return all;
}

std::vector<std::uint64_t> Hdf5Dataset::words() const {
  const Hdf5Scope scope;
  const std::uint64_t size = elements() * element_bytes();
  if (size > kMaxEntry) {
    fail(fmt::format("has {} bytes, wanted at most {}", size, kMaxEntry));
  }
  std::vector<std::uint64_t> all(size / sizeof(std::uint64_t) + 1);
  read_all(H5T_STD_U64LE, "uint64", all.data());
  all.resize(elements());
  return all;
}

void Hdf5Dataset::read_rows(std::int64_t first, std::int64_t count, std::span<std::byte> to) const {
  const Hdf5Scope scope;
  std::vector<hsize_t> start(shape_.size(), 0);
  std::vector<hsize_t> extent(shape_.begin(), shape_.end());
  start.at(0) = static_cast<hsize_t>(first);
  extent.at(0) = static_cast<hsize_t>(count);
  const Hdf5Handle from(H5Dget_space(handle_.get()), H5Sclose);
  const auto dims = static_cast<int>(extent.size());
  const Hdf5Handle memory(H5Screate_simple(dims, extent.data(), nullptr), H5Sclose);
  std::uint64_t bytes = element_bytes();
  for (hsize_t n : extent) {
    bytes *= n;
  }
  if (first < 0 || count < 0 || first > shape_[0] - count || bytes != to.size()) {
    throw Error(fmt::format("{}: rows {}..{} of {} into {} bytes", where_, first, first + count,
                            shape_[0], to.size()));
  }
  if (H5Sselect_hyperslab(from.get(), H5S_SELECT_SET, start.data(), nullptr, extent.data(),
                          nullptr) < 0 ||
      H5Dread(handle_.get(), type_.get(), memory.get(), from.get(), H5P_DEFAULT, to.data()) < 0) {
    fail(fmt::format("rows {}..{} cannot be read: {}", first, first + count, hdf5_error_text()));
  }
}

}  // namespace tutti
