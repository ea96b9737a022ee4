#include "runtime/comm/peer_letters.hpp"

#include <fmt/format.h>

#include <istream>

namespace tutti {

std::string letter_of(int question, const PeerAnswer& answer) {
  return fmt::format("{} {} {} {} {} {}", kHere, question, answer.stage,
                     static_cast<int>(answer.doing), answer.seconds, answer.call);
}

PeerAnswer answer_from(std::istream& text) {
  PeerAnswer answer{.heard = true};
  int doing = 0;
  text >> answer.stage >> doing >> answer.seconds;
  answer.doing = static_cast<RankState::Doing>(doing);
  std::getline(text >> std::ws, answer.call);
  return answer;
}

}  // namespace tutti
