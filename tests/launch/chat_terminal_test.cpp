// A chat at a terminal, with mpirun between the person and the program and without it. The keys
// must do what the greeting says; under mpirun Ctrl-C would end the whole job otherwise.
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

namespace {

std::string program;                // of tutti
std::string model;                  // a tiny one
std::vector<std::string> launcher;  // mpirun and its options

constexpr int kPatienceMs = 60000;  // never waited for where all is well

class Terminal {
 public:
  explicit Terminal(std::vector<std::string> command) {
    std::vector<char*> arguments;
    for (std::string& word : command) {
      arguments.push_back(word.data());
    }
    arguments.push_back(nullptr);
    child_ = forkpty(&master_, nullptr, nullptr, nullptr);
    if (child_ == 0) {
      execvp(arguments[0], arguments.data());
      _exit(127);
    }
  }
  ~Terminal() { close(master_); }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void type(const std::string& keys) {
    ASSERT_EQ(write(master_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  // Reads until `text` has been shown since the last call; false where the program ended first.
  bool wait_for(const std::string& text) {
    while (true) {
      const std::size_t found = shown_.find(text);
      if (found != std::string::npos) {
        seen_ += shown_.substr(0, found + text.size());
        shown_.erase(0, found + text.size());
        return true;
      }
      if (!read_more()) {
        return false;
      }
    }
  }
  int exit_code() {
    while (read_more()) {
    }
    int status = 0;
    waitpid(child_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  const std::string& rest() const { return shown_; }
  const std::string& seen() const { return seen_; }  // all that was waited for

 private:
  bool read_more() {
    pollfd waiting{.fd = master_, .events = POLLIN, .revents = 0};
    std::array<char, 4096> chunk;
    if (poll(&waiting, 1, kPatienceMs) <= 0) {
      return false;
    }
    const ssize_t count = read(master_, chunk.data(), chunk.size());
    if (count <= 0) {
      return false;
    }
    shown_.append(chunk.data(), static_cast<std::size_t>(count));
    return true;
  }

  int master_ = -1;
  pid_t child_ = -1;
  std::string shown_;
  std::string seen_;
};

std::vector<std::string> chat_command(bool under_mpirun) {
  std::vector<std::string> command = under_mpirun ? launcher : std::vector<std::string>();
  for (const std::string& word : {program, std::string("generate"), model, std::string("-n"),
                                  std::string("4"), std::string("--ignore-eos")}) {
    command.push_back(word);
  }
  return command;
}

class ChatAtATerminal : public testing::TestWithParam<bool> {};

TEST_P(ChatAtATerminal, AnswersAndLeavesByControlD) {
  Terminal terminal(chat_command(GetParam()));
  ASSERT_TRUE(terminal.wait_for("Ctrl-D leaves")) << terminal.rest();
  ASSERT_TRUE(terminal.wait_for("> ")) << terminal.rest();
  terminal.type("hello\n");
  ASSERT_TRUE(terminal.wait_for("hello\r\n")) << terminal.rest();  // its echo
  ASSERT_TRUE(terminal.wait_for("\r\n> ")) << terminal.rest();
  EXPECT_EQ(terminal.seen().find("tutti: "), std::string::npos) << terminal.seen();
  terminal.type("\x04");
  EXPECT_EQ(terminal.exit_code(), 0) << terminal.rest();
}

TEST_P(ChatAtATerminal, ControlCAtThePromptLeavesInOrder) {
  Terminal terminal(chat_command(GetParam()));
  ASSERT_TRUE(terminal.wait_for("> ")) << terminal.rest();
  terminal.type("\x03");
  EXPECT_EQ(terminal.exit_code(), 0) << terminal.rest();
}

INSTANTIATE_TEST_SUITE_P(WithAndWithoutMpirun, ChatAtATerminal, testing::Values(false, true));

}  // namespace

// chat_terminal_test TUTTI MODEL LAUNCHER…
int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc < 4) {
    return 2;
  }
  program = argv[1];
  model = argv[2];
  launcher.assign(argv + 3, argv + argc);
  return RUN_ALL_TESTS();
}
