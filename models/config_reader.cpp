#include "models/config_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernels/error.hpp"

namespace tutti {

using nlohmann::json;

ConfigReader::ConfigReader(const json& object, std::string where, std::string prefix)
    : object_(&object),
      where_(std::move(where)),
      prefix_(std::move(prefix)),
      asked_(std::make_shared<std::set<std::string>>()) {
  if (!object.is_object()) {
    throw ModelFileError(
        fmt::format("{}: wanted a JSON object, found {}", where_, object.type_name()));
  }
}

bool ConfigReader::has(const std::string& field) const {
  asked_->insert(prefix_ + field);
  const auto found = object_->find(prefix_ + field);
  return found != object_->end() && !found->is_null();
}

bool ConfigReader::has_array(const std::string& field) const {
  return has(field) && at(field).is_array();
}

const json& ConfigReader::at(const std::string& field) const {
  if (!has(field)) {
    throw ModelFileError(fmt::format("{}: field '{}{}' is missing", where_, prefix_, field));
  }
  return *object_->find(prefix_ + field);
}

void ConfigReader::refuse(const std::string& field, const std::string& wanted) const {
  throw ModelFileError(fmt::format("{}: field '{}{}' is {}, wanted {}", where_, prefix_, field,
                                   at(field).dump(), wanted));
}

std::int64_t ConfigReader::integer(const std::string& field) const {
  const json& value = at(field);
  if (!value.is_number_integer()) {
    refuse(field, "a whole number");
  }
  return value.get<std::int64_t>();
}

std::int64_t ConfigReader::integer(const std::string& field, std::int64_t fallback) const {
  return has(field) ? integer(field) : fallback;
}

double ConfigReader::number(const std::string& field) const {
  const json& value = at(field);
  if (!value.is_number()) {
    refuse(field, "a number");
  }
  return value.get<double>();
}

double ConfigReader::number(const std::string& field, double fallback) const {
  return has(field) ? number(field) : fallback;
}

std::vector<double> ConfigReader::numbers(const std::string& field) const {
  const json& values = at(field);
  const bool sound = values.is_array() && std::all_of(values.begin(), values.end(),
                                                      [](const json& v) { return v.is_number(); });
  if (!sound) {
    refuse(field, "an array of numbers");
  }
  return values.get<std::vector<double>>();
}

bool ConfigReader::boolean(const std::string& field, bool fallback) const {
  if (has(field) && !at(field).is_boolean()) {
    refuse(field, "true or false");
  }
  return has(field) ? at(field).get<bool>() : fallback;
}

std::string ConfigReader::text(const std::string& field, const std::string& fallback) const {
  if (has(field) && !at(field).is_string()) {
    refuse(field, "a string");
  }
  return has(field) ? at(field).get<std::string>() : fallback;
}

std::vector<std::string> ConfigReader::texts(const std::string& field) const {
  if (!has(field)) {
    return {};
  }
  const json& values = at(field);
  const bool sound = values.is_array() && std::all_of(values.begin(), values.end(),
                                                      [](const json& v) { return v.is_string(); });
  if (!sound) {
    refuse(field, "an array of strings");
  }
  return values.get<std::vector<std::string>>();
}

ConfigReader ConfigReader::object(const std::string& field) const {
  return {at(field), where_ + "." + prefix_ + field};
}

void ConfigReader::only(const std::string& field, const json& understood) const {
  if (has(field) && at(field) != understood) {
    refuse(field, understood.dump() + ", the only value that this family is known to use");
  }
}

void ConfigReader::ignore(std::initializer_list<const char*> fields) const {
  for (const char* field : fields) {
    asked_->insert(prefix_ + field);
  }
}

void ConfigReader::finish() const {
  for (const auto& [field, value] : object_->items()) {
    const bool ours = field.starts_with(prefix_);
    if (ours && !value.is_null() && !asked_->contains(field)) {
      throw ModelFileError(
          fmt::format("{}: field '{}' ({}) is not understood by this family: its answers might "
                      "differ",
                      where_, field, value.dump()));
    }
  }
}

const SourceTensor* find_tensor(const TensorSource& source, std::string_view name) {
  const auto& tensors = source.tensors();
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [name](const SourceTensor& t) { return t.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

}  // namespace tutti
