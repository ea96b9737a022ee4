// The patterns of tokenizer.json are written for Oniguruma (Ruby syntax, its own Unicode); PCRE2
// reads some of it differently. Here they are respelled so that both match the same text.
#pragma once

#include <string>
#include <string_view>

namespace tutti::text {

// What differs: \s (PCRE2 also takes U+180E), \w, \h, \uHHHH, {,n}, {n,m}+ (not possessive here),
// (?m) (means "dot matches newline" here), and letters newer than PCRE2's Unicode.
// Errors: ModelFileError for nested classes and class intersections, which PCRE2 has not.
std::string pcre2_syntax(std::string_view pattern, const std::string& where);

}  // namespace tutti::text
