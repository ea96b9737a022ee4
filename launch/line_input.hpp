// Lines from standard input, with the interrupt key watched while an answer is on its way.
#pragma once

#include <string>

namespace tutti {

// While it lives, SIGINT sets a flag instead of ending the process. One at a time.
class InterruptFlag {
 public:
  InterruptFlag();
  ~InterruptFlag();
  InterruptFlag(const InterruptFlag&) = delete;
  InterruptFlag& operator=(const InterruptFlag&) = delete;

  static bool raised();
  static void clear();
};

class LineInput {
 public:
  enum class Outcome { line, end, interrupted };

  // `descriptor` is borrowed. The byte 0x03 counts as an interrupt (see InterruptKey).
  explicit LineInput(int descriptor) : descriptor_(descriptor) {}

  // Waits for the next line, without its end. A last line without an end counts.
  // Errors: Error where reading fails.
  Outcome next(std::string& line);
  // Without waiting: was the interrupt key pressed since the last line was asked for?
  bool interrupted();

 private:
  bool take_line(std::string& line);
  bool take_interrupt();
  bool ready(int milliseconds) const;  // -1: waits; false where a signal came before
  void fill();                         // one read

  int descriptor_;
  std::string pending_;
  bool ended_ = false;
};

// Under mpirun the terminal's interrupt key would end the whole job before any rank heard of it.
// While this lives, the key arrives as the byte 0x03 at the end of a line instead; the quit key
// (Ctrl-\) still ends the job. Restores the terminal, also when SIGTERM comes first.
class InterruptKey {
 public:
  // Path of the launcher's terminal, or empty: does nothing.
  explicit InterruptKey(const std::string& terminal);
  ~InterruptKey();
  InterruptKey(const InterruptKey&) = delete;
  InterruptKey& operator=(const InterruptKey&) = delete;
};

}  // namespace tutti
