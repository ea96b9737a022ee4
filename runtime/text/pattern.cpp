#include "runtime/text/pattern.hpp"

#include <fmt/format.h>

#include "kernels/error.hpp"

namespace tutti::text {
namespace {

std::vector<Span> find_literal(std::string_view text, std::string_view literal) {
  std::vector<Span> found;
  if (literal.empty()) return found;
  for (std::size_t at = text.find(literal); at != std::string_view::npos;
       at = text.find(literal, at + literal.size())) {
    found.push_back({at, at + literal.size()});
  }
  return found;
}

}  // namespace

Pattern Pattern::from_json(const Json& json, const std::string& where) {
  if (json.is_string()) return Pattern(json.get<std::string>());
  if (!member(json, "String", where).is_null()) {
    return Pattern(string_member(json, "String", where));
  }
  if (!member(json, "Regex", where).is_null()) {
    return Pattern(Regex(string_member(json, "Regex", where), where));
  }
  throw ModelFileError(fmt::format("{}: a pattern wants \"String\" or \"Regex\"", where));
}

std::vector<Span> Pattern::find_all(std::string_view text) const {
  if (const auto* literal = std::get_if<std::string>(&pattern_)) {
    return find_literal(text, *literal);
  }
  return std::get<Regex>(pattern_).find_all(text);
}

std::string Pattern::replace_all(std::string_view text, std::string_view content) const {
  std::string out;
  std::size_t at = 0;
  for (const Span& span : find_all(text)) {
    out += text.substr(at, span.begin - at);
    out += content;
    at = span.end;
  }
  out += text.substr(at);
  return out;
}

}  // namespace tutti::text
