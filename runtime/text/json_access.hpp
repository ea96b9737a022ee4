// Reading JSON that somebody else wrote: what is missing or of another type is named.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace tutti::text {

using Json = nlohmann::json;

// Errors of all: ModelFileError that begins with `where` ("tokenizer.json: model").
Json parse_json(std::string_view text, const std::string& where);
// The member, or null where there is none (a member that is null counts as none).
const Json& member(const Json& object, const char* key, const std::string& where);
const Json& array_member(const Json& object, const char* key, const std::string& where);
std::string string_member(const Json& object, const char* key, const std::string& where);
bool bool_member(const Json& object, const char* key, bool fallback, const std::string& where);
std::optional<std::int64_t> int_member(const Json& object, const char* key,
                                       const std::string& where);
// A token id: within [0, kMaxVocabulary).
inline constexpr std::int64_t kMaxVocabulary = std::int64_t{1} << 21U;
std::int32_t token_id_of(const Json& value, const std::string& where);

}  // namespace tutti::text
