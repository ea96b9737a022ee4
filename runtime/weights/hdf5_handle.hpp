// Owners of what HDF5 hands out, and its error texts. Only runtime/weights/hdf5_* includes this.
#pragma once

#include <hdf5.h>

#include <mutex>
#include <string>

namespace tutti {

// To be held around calls of HDF5. The library's tables and error stack belong to the process and
// not every build of it is safe for threads, so calls from all threads take turns; its own printing
// of errors is off meanwhile, and as the application had it afterwards. Nests.
class Hdf5Scope {
 public:
  Hdf5Scope();
  ~Hdf5Scope();
  Hdf5Scope(const Hdf5Scope&) = delete;
  Hdf5Scope& operator=(const Hdf5Scope&) = delete;
  Hdf5Scope(Hdf5Scope&&) = delete;
  Hdf5Scope& operator=(Hdf5Scope&&) = delete;

 private:
  std::unique_lock<std::recursive_mutex> turn_;
  H5E_auto2_t print_ = nullptr;
  void* print_data_ = nullptr;
};

// Move-only owner of an identifier and the way to close it.
class Hdf5Handle {
 public:
  using Close = herr_t (*)(hid_t);

  Hdf5Handle() = default;
  Hdf5Handle(hid_t id, Close close) : id_(id), close_(close) {}
  ~Hdf5Handle() { reset(); }
  Hdf5Handle(Hdf5Handle&& other) noexcept;
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept;
  Hdf5Handle(const Hdf5Handle&) = delete;
  Hdf5Handle& operator=(const Hdf5Handle&) = delete;

  hid_t get() const { return id_; }
  bool valid() const { return id_ >= 0; }
  bool reset();  // false where closing failed

 private:
  hid_t id_ = H5I_INVALID_HID;
  Close close_ = nullptr;
};

// What the error stack of the last failed call says of the cause, and the stack emptied:
// "truncated file: eof = 2048, …", or "no reason given".
std::string hdf5_error_text();

}  // namespace tutti
