// A chat template that can be rendered: the part of Jinja2 that models' templates are written in.
// What is not understood is refused with the template's line, never skipped.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/text/jinja_functions.hpp"
#include "runtime/text/jinja_tree.hpp"

namespace tutti::jinja {

using Variables = std::vector<std::pair<std::string, Value>>;

// Immutable; copies share what was parsed.
class Template {
 public:
  // Errors: ModelFileError with the line and what is not understood there.
  explicit Template(std::string_view source);
  // Time, memory and stack are bounded, whatever the template says. Errors: ConfigError where the
  // template itself refuses (raise_exception); ModelFileError, with the line, where it cannot be
  // carried out or does not come to an end.
  Text render(const Variables& variables, const Clock& now) const;

 private:
  std::shared_ptr<const Block> block_;
};

}  // namespace tutti::jinja
