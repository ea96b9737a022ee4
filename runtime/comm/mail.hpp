// Letters between ranks that nobody has to wait for.
#pragma once

#include <optional>
#include <string>

namespace tutti {

struct Letter {
  int from = 0;
  std::string text;
};

// Letters of one rank come in order.
class Mail {
 public:
  virtual ~Mail() = default;
  // Not collective, returns at once; long letters move on while this rank looks.
  virtual void post(int to, std::string text) = 0;
  // Not collective, waits for nobody. The next letter that has come, from any rank.
  virtual std::optional<Letter> look() = 0;
};

}  // namespace tutti
