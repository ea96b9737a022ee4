// Whether text is well-formed enough to be XML: tags that nest, quoted attributes, known entities.
#pragma once

#include <regex>
#include <string>
#include <vector>

namespace tutti::test {

// What is wrong, or empty. Knows no comments, no CDATA; a DOCTYPE line goes by.
inline std::string xml_fault(const std::string& text) {
  static const std::regex tag(
      R"re(<(/?)([A-Za-z][A-Za-z0-9]*)((?:\s+[A-Za-z][A-Za-z0-9:-]*="[^"<]*")*)\s*(/?)>)re");
  static const std::regex entity("&(amp|lt|gt|quot|#39);");
  std::vector<std::string> open;
  std::size_t at = text.starts_with("<!DOCTYPE html>") ? 15 : 0;
  while (at < text.size()) {
    std::smatch match;
    const auto here = text.begin() + static_cast<std::ptrdiff_t>(at);
    const auto only_here = std::regex_constants::match_continuous;
    if (text[at] == '<') {
      if (!std::regex_search(here, text.end(), match, tag, only_here)) {
        return "no tag: " + text.substr(at, 60);
      }
      if (match[1] == "/") {
        if (open.empty() || open.back() != match[2]) {
          return "closes what is not open: " + match.str();
        }
        open.pop_back();
      } else if (match[4] != "/") {
        open.push_back(match[2]);
      }
      at += static_cast<std::size_t>(match.length());
    } else if (text[at] == '&') {
      if (!std::regex_search(here, text.end(), match, entity, only_here)) {
        return "no entity: " + text.substr(at, 20);
      }
      at += static_cast<std::size_t>(match.length());
    } else if (text[at] == '>' ||
               (static_cast<unsigned char>(text[at]) < 0x20 && text[at] != '\n')) {
      return "a character as it stands: " + text.substr(at, 20);
    } else {
      ++at;
    }
  }
  return open.empty() ? "" : "is not closed: " + open.back();
}

}  // namespace tutti::test
