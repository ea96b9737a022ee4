#include "launch/escapes.hpp"

#include <fmt/format.h>

#include <charconv>

#include "launch/options.hpp"

namespace tutti {
namespace {

constexpr std::string_view kLetters = "ntr\\\"'0";
constexpr std::string_view kMeanings{"\n\t\r\\\"'\0", 7};

}  // namespace

std::string unescape(std::string_view option, std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      result += text[i];
      continue;
    }
    const std::string_view rest = text.substr(i + 1);
    const std::size_t letter = rest.empty() ? std::string_view::npos : kLetters.find(rest[0]);
    unsigned byte = 0;
    if (letter != std::string_view::npos) {
      result += kMeanings[letter];
      i += 1;
    } else if (rest.size() >= 3 && rest[0] == 'x' &&
               std::from_chars(rest.data() + 1, rest.data() + 3, byte, 16).ptr == rest.data() + 3) {
      result += static_cast<char>(byte);
      i += 3;
    } else {
      throw UsageError(
          fmt::format("--{} has the escape '\\{}', known are \\n \\t \\r \\0 \\\\ \\\" \\' \\xHH",
                      option, rest.substr(0, 1)));
    }
  }
  return result;
}

}  // namespace tutti
