// Escapes in option values: a shell makes it hard to write a line break.
#pragma once

#include <string>
#include <string_view>

namespace tutti {

// Replaces \n \t \r \\ \" \' \0 and \xHH. Errors: UsageError that names `option` and the escape.
std::string unescape(std::string_view option, std::string_view text);

}  // namespace tutti
