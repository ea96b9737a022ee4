// What a normalizer replaces and a pre-tokenizer splits at: a literal text or a regular expression.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/text/json_access.hpp"
#include "runtime/text/regex.hpp"

namespace tutti::text {

class Pattern {
 public:
  // {"String": "…"} or {"Regex": "…"}. Errors: ModelFileError.
  static Pattern from_json(const Json& json, const std::string& where);
  explicit Pattern(std::string literal) : pattern_(std::move(literal)) {}
  explicit Pattern(Regex regex) : pattern_(std::move(regex)) {}

  std::vector<Span> find_all(std::string_view text) const;
  std::string replace_all(std::string_view text, std::string_view content) const;

 private:
  std::variant<std::string, Regex> pattern_;
};

}  // namespace tutti::text
