// Results on standard output, checked: a full disk or a closed pipe must not look like success.
// Messages on standard error, unchecked: a full disk behind the log must not end the work.
#pragma once

#include <string_view>

namespace tutti {

// Writes and flushes. Errors: Error that says what the system said.
void write_result(std::string_view text);

// Writes as it stands, a line end included or not.
void write_message(std::string_view text) noexcept;

}  // namespace tutti
