// What a mistyped word was probably meant to be.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace tutti {

// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (Damerau 1964,
// restricted: no part is edited twice).
std::size_t edit_distance(std::string_view a, std::string_view b);

// The known word nearest to `word`, the first among equals; empty where none is near enough to be
// meant: more than a third of the longer word would have to change, and neither starts the other.
std::string nearest(std::string_view word, std::span<const std::string> known);

}  // namespace tutti
