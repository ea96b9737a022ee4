#include "runtime/text/split.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/error.hpp"

namespace tutti::text {
namespace {

struct Part {
  Span span;
  bool match;
};

// The whole text as an alternation of matches and what lies between.
std::vector<Part> partition(std::size_t size, std::span<const Span> matches, bool invert) {
  std::vector<Part> parts;
  parts.reserve(2 * matches.size() + 1);
  std::size_t at = 0;
  for (const Span& match : matches) {
    if (at != match.begin) parts.push_back({{at, match.begin}, invert});
    parts.push_back({match, !invert});
    at = match.end;
  }
  if (at != size) parts.push_back({{at, size}, invert});
  return parts;
}

std::vector<Span> merge(const std::vector<Part>& parts, SplitBehavior behavior) {
  std::vector<Span> spans;
  bool previous = false;
  const auto add = [&](const Part& part, bool join) {
    if (join && !spans.empty()) {
      spans.back() = {std::min(spans.back().begin, part.span.begin),
                      std::max(spans.back().end, part.span.end)};
    } else {
      spans.push_back(part.span);
    }
    previous = part.match;
  };
  switch (behavior) {
    case SplitBehavior::removed:
      for (const Part& part : parts) {
        if (!part.match) spans.push_back(part.span);
      }
      break;
    case SplitBehavior::isolated:
      for (const Part& part : parts) spans.push_back(part.span);
      break;
    case SplitBehavior::contiguous:
      for (const Part& part : parts) add(part, part.match == previous);
      break;
    case SplitBehavior::merged_with_previous:
      for (const Part& part : parts) add(part, part.match && !previous);
      break;
    case SplitBehavior::merged_with_next:
      for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
        add(*part, part->match && !previous);
      }
      std::reverse(spans.begin(), spans.end());
      break;
  }
  return spans;
}

}  // namespace

SplitBehavior split_behavior(const std::string& name, const std::string& where) {
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  throw ModelFileError(
      fmt::format("{}: \"behavior\" wants Removed, Isolated, MergedWithPrevious, MergedWithNext or "
                  "Contiguous, found \"{}\"",
                  where, name));
}

void split_piece(const Piece& piece, std::span<const Span> matches, SplitBehavior behavior,
                 bool invert, std::vector<Piece>& out) {
  for (const Span& span : merge(partition(piece.text.size(), matches, invert), behavior)) {
    if (span.begin == span.end) continue;
    out.push_back(
        {piece.text.substr(span.begin, span.end - span.begin), piece.at_start && span.begin == 0});
  }
}

}  // namespace tutti::text
