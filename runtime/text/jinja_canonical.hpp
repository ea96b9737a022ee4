// One spelling for all chat templates that say the same, so that known ones can be recognised by a
// digest although they differ in quotes, spacing, `.role` or `['role']`, or how text is cut up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tutti {

struct CanonicalTemplate {
  std::string text;            // one node per line; for people and tests
  std::string default_system;  // the text of a literal system turn, empty where there is none
  std::uint64_t digest = 0;    // FNV-1a of text
};

// Whitespace control, trim_blocks and lstrip_blocks are resolved as transformers sets up Jinja2.
// Literals joined by `+` and template text become one; texts of raise_exception are dropped; what
// stands under `if tools` goes away, since no tools are ever passed; so does the customary
// default for add_generation_prompt. A literal ChatML system turn is taken out into default_system.
// Nothing else is rewritten: templates of equal digest render equally.
// Returns nothing where the text is not understood (an open tag or string, an unknown escape).
std::optional<CanonicalTemplate> canonical_template(std::string_view jinja);

}  // namespace tutti
