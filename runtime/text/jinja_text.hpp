// A string of a chat template that knows which of its bytes a user wrote: whatever filters and
// operators make of it, the words of a conversation stay apart from those of the template.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tutti::jinja {

enum class Origin : std::uint8_t { model, user };

class Text {
 public:
  Text() = default;
  // Valid UTF-8.
  explicit Text(std::string bytes, Origin origin = Origin::model)
      : bytes_(std::move(bytes)), origins_(bytes_.size(), static_cast<char>(origin)) {}

  const std::string& bytes() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  Origin origin(std::size_t at) const { return static_cast<Origin>(origins_[at]); }
  // The bytes [begin, end).
  Text slice(std::size_t begin, std::size_t end) const;
  void append(const Text& more);
  void append(std::string_view more, Origin origin);

 private:
  std::string bytes_;
  std::string origins_;  // an Origin for each byte
};

// Bytes of the white space that `text` begins with, as Python's str.isspace() sees it; 0 for none.
std::size_t space_at_start(std::string_view text);
// Where the characters of a valid text begin, and its size at the end.
std::vector<std::size_t> character_starts(std::string_view text);
std::size_t character_count(std::string_view text);

enum class Side : std::uint8_t { left = 1, right = 2, both = 3 };
// Without white space at its ends.
Text stripped(const Text& text, Side side);
// Without the characters of `set` at its ends.
Text stripped(const Text& text, std::string_view set, Side side);
Text lower(const Text& text);
Text upper(const Text& text);
// The first character in upper case, the others in lower case; of the text or of each word.
Text capitalized(const Text& text, bool each_word);

}  // namespace tutti::jinja
