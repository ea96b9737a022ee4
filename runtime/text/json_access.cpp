#include "runtime/text/json_access.hpp"

#include <fmt/format.h>

#include "kernels/error.hpp"

namespace tutti::text {
namespace {

[[noreturn]] void wrong_type(const std::string& where, const char* key, const char* wanted,
                             const Json& found) {
  throw ModelFileError(
      fmt::format("{}: \"{}\" wants {}, found {}", where, key, wanted, found.type_name()));
}

}  // namespace

Json parse_json(std::string_view text, const std::string& where) {
  try {
    return Json::parse(text);
  } catch (const Json::exception& error) {
    throw ModelFileError(fmt::format("{}: not JSON: {}", where, error.what()));
  }
}

const Json& member(const Json& object, const char* key, const std::string& where) {
  static const Json none;
  if (!object.is_object()) {
    throw ModelFileError(
        fmt::format("{}: wants an object with \"{}\", found {}", where, key, object.type_name()));
  }
  const auto found = object.find(key);
  return found == object.end() ? none : *found;
}

const Json& array_member(const Json& object, const char* key, const std::string& where) {
  const Json& value = member(object, key, where);
  if (!value.is_array()) wrong_type(where, key, "an array", value);
  return value;
}

std::string string_member(const Json& object, const char* key, const std::string& where) {
  const Json& value = member(object, key, where);
  if (!value.is_string()) wrong_type(where, key, "a string", value);
  return value.get<std::string>();
}

bool bool_member(const Json& object, const char* key, bool fallback, const std::string& where) {
  const Json& value = member(object, key, where);
  if (value.is_null()) return fallback;
  if (!value.is_boolean()) wrong_type(where, key, "true or false", value);
  return value.get<bool>();
}

std::optional<std::int64_t> int_member(const Json& object, const char* key,
                                       const std::string& where) {
  const Json& value = member(object, key, where);
  if (value.is_null()) return std::nullopt;
  if (!value.is_number_integer()) wrong_type(where, key, "a whole number", value);
  return value.get<std::int64_t>();
}

std::int32_t token_id_of(const Json& value, const std::string& where) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() < kMaxVocabulary) {
    return value.get<std::int32_t>();
  }
  throw ModelFileError(fmt::format("{}: a token id wants a whole number below {}, found {}", where,
                                   kMaxVocabulary,
                                   value.dump(-1, ' ', false, Json::error_handler_t::replace)));
}

}  // namespace tutti::text
