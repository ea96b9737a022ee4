// Results on standard output, checked: a full disk or a closed pipe must not look like success.
#pragma once

#include <string_view>

namespace tutti {

// Writes and flushes. Errors: Error that says what the system said.
void write_result(std::string_view text);

}  // namespace tutti
