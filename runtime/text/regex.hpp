// A compiled regular expression (PCRE2 with its JIT compiler), searched over whole texts.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tutti::text {

struct Span {
  std::size_t begin, end;  // bytes, [begin, end)
  bool operator==(const Span&) const = default;
};

class Regex {
 public:
  // `pattern` in the syntax of tokenizer.json (regex_syntax.hpp); `where` begins the messages.
  // Errors: ModelFileError where it does not compile.
  Regex(std::string_view pattern, std::string where);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;

  // All matches from left to right, none overlapping; an empty match is never taken right after
  // another match. `text` is valid UTF-8. Errors: ModelFileError where the search gives up, which
  // says that the pattern is a pathological one.
  std::vector<Span> find_all(std::string_view text) const;

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace tutti::text
