// The four kinds of failure. Libraries throw them and never print or exit; `launch/main.cpp`
// reports them and turns the kind into the exit code (docs/errors.md).
#pragma once

#include <stdexcept>

namespace tutti {

// Exit code 1 unless a derived kind says otherwise.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What was asked for cannot be: options, configuration, rank counts, prompts. Exit code 2.
struct ConfigError : Error {
  using Error::Error;
};

// A model file or an import source is missing, foreign, cut short or inconsistent. Exit code 3.
// The message names file, tensor, wanted and found.
struct ModelFileError : Error {
  using Error::Error;
};

// What was asked for does not fit the memory of a rank. Exit code 4.
struct CapacityError : ConfigError {
  using ConfigError::ConfigError;
};

// A device or its library failed. Exit code 5.
struct DeviceError : Error {
  using Error::Error;
};

// A peer or a link failed. Exit code 5.
struct CommError : Error {
  using Error::Error;
};

}  // namespace tutti
