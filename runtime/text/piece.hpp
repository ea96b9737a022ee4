// A stretch of text on its way to the vocabulary.
#pragma once

#include <string>

namespace tutti::text {

struct Piece {
  std::string text;
  bool at_start = false;  // begins where the whole input begins (Metaspace "first" asks)
};

}  // namespace tutti::text
