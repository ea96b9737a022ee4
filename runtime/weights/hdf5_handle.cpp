#include "runtime/weights/hdf5_handle.hpp"

#include <utility>

namespace tutti {
namespace {

// Guards state of libhdf5, which is one per process. Its clean-up at exit is off: every handle has
// an owner here, and after a file that could not be closed (disk full) the clean-up of 1.10
// crashes.
std::recursive_mutex& hdf5_turn() {
  static std::recursive_mutex mutex;
  static const bool no_clean_up = H5dont_atexit() >= 0;  // before any other call
  static_cast<void>(no_clean_up);
  return mutex;
}

// Called from the innermost entry outwards; the first is where it really failed.
herr_t keep_first(unsigned /*n*/, const H5E_error2_t* entry, void* text) {
  auto& kept = *static_cast<std::string*>(text);
  if (kept.empty() && entry->desc != nullptr) {
    kept = entry->desc;
  }
  return 0;
}

}  // namespace

Hdf5Scope::Hdf5Scope() : turn_(hdf5_turn()) {
  H5Eget_auto2(H5E_DEFAULT, &print_, &print_data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Hdf5Scope::~Hdf5Scope() {
  H5Eset_auto2(H5E_DEFAULT, print_, print_data_);
}

Hdf5Handle::Hdf5Handle(Hdf5Handle&& other) noexcept
    : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}

Hdf5Handle& Hdf5Handle::operator=(Hdf5Handle&& other) noexcept {
  std::swap(id_, other.id_);
  std::swap(close_, other.close_);
  return *this;
}

bool Hdf5Handle::reset() {
  if (id_ < 0) {
    return true;
  }
  const Hdf5Scope scope;
  return close_(std::exchange(id_, H5I_INVALID_HID)) >= 0;
}

std::string hdf5_error_text() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &text);
  H5Eclear2(H5E_DEFAULT);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) {
    text.pop_back();
  }
  return text.empty() ? "no reason given" : text;
}

}  // namespace tutti
