// The metadata of a GGUF file as JSON.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "runtime/weights/gguf_cursor.hpp"

namespace tutti {

// Reads `count` keys with their values, the cursor standing on the first.
nlohmann::json read_gguf_metadata(GgufCursor& cursor, std::uint64_t count);

}  // namespace tutti
