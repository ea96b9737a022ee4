// Fields of a canonical configuration. Errors: ModelFileError, naming the field.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "kernels/error.hpp"

namespace tutti {

template <typename T>
void read_field(const nlohmann::json& config, const char* field, T& value,
                const char* within = "") {
  const auto found = config.find(field);
  if (found == config.end()) {
    throw ModelFileError(fmt::format("config: field '{}{}' is missing", within, field));
  }
  // The library would make 1 of true and 12 of 12.9.
  bool sound = true;
  if constexpr (std::is_same_v<T, std::int64_t>) {
    sound = found->is_number_integer();
  } else if constexpr (std::is_same_v<T, double>) {
    sound = found->is_number();
  }
  try {
    if (sound) {
      found->get_to(value);
    }
  } catch (const nlohmann::json::exception&) {
    sound = false;
  }
  if (!sound) {
    throw ModelFileError(fmt::format("config: field '{}{}' is {}, which is of another type", within,
                                     field, found->dump()));
  }
}

inline void require_positive(const char* field, double value) {
  if (!(value > 0) || value > 1e9) {
    throw ModelFileError(
        fmt::format("config: field '{}' is {}, it must be positive and sane", field, value));
  }
}

inline void require_not_negative(const char* field, double value) {
  if (value != 0) {
    require_positive(field, value);
  }
}

}  // namespace tutti
