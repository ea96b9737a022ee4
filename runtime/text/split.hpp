// Cutting a text at the places where a pattern matches.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/text/piece.hpp"
#include "runtime/text/regex.hpp"

namespace tutti::text {

enum class SplitBehavior : std::uint8_t {
  removed,               // the matches go
  isolated,              // each match is a piece of its own
  merged_with_previous,  // a match ends the piece before it
  merged_with_next,      // a match begins the piece after it
  contiguous,            // neighbouring matches are one piece
};

// "Removed", "Isolated", "MergedWithPrevious", … Errors: ModelFileError that names it.
SplitBehavior split_behavior(const std::string& name, const std::string& where);

// Appends the non-empty pieces of `piece`. `matches` are ascending and do not overlap; with
// `invert` what lies between them counts as the match.
void split_piece(const Piece& piece, std::span<const Span> matches, SplitBehavior behavior,
                 bool invert, std::vector<Piece>& out);

}  // namespace tutti::text
