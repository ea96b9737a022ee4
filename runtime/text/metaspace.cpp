#include "runtime/text/metaspace.hpp"

#include <fmt/format.h>

#include "kernels/error.hpp"
#include "runtime/text/utf8.hpp"

namespace tutti::text {

Metaspace Metaspace::from_json(const Json& json, const std::string& where) {
  Metaspace metaspace;
  metaspace.replacement = string_member(json, "replacement", where);
  const std::string& character = metaspace.replacement;
  if (character.empty() || code_point_at(character, 0).size != character.size()) {
    throw ModelFileError(
        fmt::format("{}: \"replacement\" wants one character, found '{}'", where, character));
  }
  // Files older than prepend_scheme say add_prefix_space instead.
  const bool prefix = bool_member(json, "add_prefix_space", true, where);
  metaspace.scheme = prefix ? PrependScheme::always : PrependScheme::never;
  if (!member(json, "prepend_scheme", where).is_null()) {
    const std::string scheme = string_member(json, "prepend_scheme", where);
    if (scheme == "always") {
      metaspace.scheme = PrependScheme::always;
    } else if (scheme == "first") {
      metaspace.scheme = PrependScheme::first;
    } else if (scheme == "never") {
      metaspace.scheme = PrependScheme::never;
    } else {
      throw ModelFileError(fmt::format(
          "{}: \"prepend_scheme\" wants always, first or never, found \"{}\"", where, scheme));
    }
  }
  metaspace.split = bool_member(json, "split", true, where);
  return metaspace;
}

}  // namespace tutti::text
