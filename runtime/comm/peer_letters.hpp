// What the watches of two ranks write to each other: a word, a number, and an answer.
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>

#include "runtime/comm/peer_verdict.hpp"

namespace tutti {

inline constexpr std::string_view kAsk = "ask";
inline constexpr std::string_view kHere = "here";
inline constexpr std::string_view kAlive = "alive";
inline constexpr std::string_view kEnds = "ends";      // … the job, and says why
inline constexpr std::string_view kLeaves = "leaves";  // as it was told to

// "here QUESTION …": the answer to that question.
std::string letter_of(int question, const PeerAnswer& answer);
// What stands behind "here QUESTION".
PeerAnswer answer_from(std::istream& text);

}  // namespace tutti
