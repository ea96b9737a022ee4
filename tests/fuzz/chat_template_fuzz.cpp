// Feeds a chat template and, after the first NUL byte, what a user says. Whatever the bytes are,
// the template is rendered or refused, soon, and what the user says never counts as the template's.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/error.hpp"
#include "runtime/text/chat_format.hpp"

namespace {

// A word that no mutation puts into a template by chance.
constexpr std::string_view kMark = "\xE2\x9F\xA6user's own\xE2\x9F\xA7";

constexpr const char* kCalls =
    R"({"content": null, "tool_calls": [{"id": "call00000", "function": {"name": "⟦user's own⟧"}}]})";

std::tm first_second() {
  return {.tm_sec = 1, .tm_mday = 1, .tm_year = 100};
}

// A template may refuse one of the conversations and render the others.
void check(const tutti::ChatFormat& format, const std::vector<tutti::ChatMessage>& messages,
           const char* tools) try {
  for (const tutti::ChatSegment& segment : format.render(messages, "<s>", "</s>", tools)) {
    const bool trusted = segment.special == tutti::SpecialTokens::parsed;
    if (trusted && segment.text.find(kMark) != std::string::npos) std::abort();
  }
} catch (const tutti::Error& error) {
  if (std::string_view(error.what()).empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\0');
  const std::string source(input.substr(0, end));
  std::string said(end == std::string_view::npos ? "" : input.substr(end + 1, 2048));
  said += kMark;
  try {
    const auto format = tutti::ChatFormat::detect({{"chat_template", source}}, first_second);
    const std::vector<tutti::ChatMessage> plain = {
        {"system", said}, {"user", "a"}, {"assistant", said}, {"user", said}};
    const std::vector<tutti::ChatMessage> called = {
        {"user", said},
        {"assistant", "", kCalls},
        {"tool", said, R"({"tool_call_id": "call00000"})"}};
    check(format, plain, "");
    check(format, plain, R"([{"name": "f", "x": [1]}])");
    check(format, called, R"([{"name": "⟦user's own⟧", "x": [1]}])");
  } catch (const tutti::Error& error) {
    if (std::string_view(error.what()).empty()) std::abort();
  }
  return 0;
}
