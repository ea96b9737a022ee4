#include "launch/output_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <vector>

#include "kernels/error.hpp"
#include "runtime/weights/file_descriptor.hpp"

namespace tutti {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string link_target(const char* path) {
  std::error_code error;
  return fs::read_symlink(path, error).string();
}

// When a process began, in the kernel's ticks (proc(5), field 22); empty where it has ended, also
// where nobody has asked for its end yet (Z).
std::string start_of_process(long pid) {
  const std::string stat = read_text(fmt::format("/proc/{}/stat", pid));
  const std::size_t bracket = stat.rfind(')');  // the name before it may hold anything
  if (bracket == std::string::npos) {
    return {};
  }
  std::istringstream fields(stat.substr(bracket + 1));
  std::vector<std::string> all{std::istream_iterator<std::string>(fields), {}};
  constexpr std::size_t kStart = 19;  // the state, field 3, is 0
  return all.size() <= kStart || all[0] == "Z" || all[0] == "X" ? std::string() : all[kStart];
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

std::string name_of_owner(const LockOwner& owner) {
  return fmt::format("process {} on {}{}", owner.pid, owner.host,
                     owner.job.empty() ? "" : fmt::format(" (Slurm job {})", owner.job));
}

// 0 or errno.
int write_whole(const fs::path& path, int flags, const std::string& text) {
  constexpr mode_t kMode = 0644;
  const FileDescriptor file(open(path.c_str(), flags | O_WRONLY | O_CLOEXEC, kMode));
  if (!file.valid()) {
    return errno;
  }
  const int error = write_at(file, 0, std::as_bytes(std::span(text)));
  return error != 0 ? error : (fsync(file.get()) == 0 || errno == EINVAL ? 0 : errno);
}

}  // namespace

std::string to_text(const LockOwner& owner) {
  const json object = {{"host", owner.host},   {"boot", owner.boot}, {"pid", owner.pid},
                       {"start", owner.start}, {"job", owner.job},   {"restarts", owner.restarts},
                       {"token", owner.token}, {"beat", owner.beat}};
  // Of one length as long as it is written over: a reader may come in between.
  return fmt::format("{:<400}\n", object.dump(-1, ' ', true, json::error_handler_t::replace));
}

LockOwner lock_owner_from_text(const std::string& text) {
  const json object = json::parse(text, nullptr, false);
  LockOwner owner;
  try {
    owner.host = object.at("host").get<std::string>();
    owner.boot = object.at("boot").get<std::string>();
    owner.pid = object.at("pid").get<long>();
    owner.start = object.at("start").get<std::string>();
    owner.job = object.at("job").get<std::string>();
    owner.restarts = object.at("restarts").get<int>();
    owner.beat = object.at("beat").get<std::uint64_t>();
    owner.token = object.at("token").get<std::string>();
  } catch (const json::exception&) {
    owner.token.clear();
  }
  return owner;
}

LockOwner this_process() {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  std::random_device random;
  LockOwner self{.host = host.data(),
                 .boot = read_text("/proc/sys/kernel/random/boot_id"),
                 .pid = getpid(),
                 .start = start_of_process(getpid()),
                 .job = environment("SLURM_JOB_ID"),
                 .restarts = std::atoi(environment("SLURM_RESTART_COUNT").c_str()),
                 .token = fmt::format("{:08x}{:08x}", random(), random())};
  self.boot = self.boot.substr(0, self.boot.find('\n')) + " " + link_target("/proc/self/ns/pid");
  return self;
}

bool surely_gone(const LockOwner& owner, const LockOwner& self) {
  if (owner.token.empty()) {
    return false;
  }
  if (owner.host == self.host && owner.boot == self.boot) {
    const std::string start = start_of_process(owner.pid);
    return start.empty() || start != owner.start;
  }
  return !owner.job.empty() && owner.job == self.job && owner.restarts < self.restarts;
}

OutputLock::OutputLock(const fs::path& output, const Times& times)
    : path_(output.string() + ".lock"), times_(times), self_(this_process()) {
  acquire();
  heart_ = std::thread([this] { keep_beating(); });
}

OutputLock::~OutputLock() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_all();
  heart_.join();
  if (lock_owner_from_text(read_text(path_)).token == self_.token) {
    unlink(path_.c_str());
  }
}

void OutputLock::acquire() {
  while (!make()) {
    const LockOwner owner = lock_owner_from_text(read_text(path_));
    if (!surely_gone(owner, self_)) {
      wait_for(owner);
    }
    if (remove_stale(owner)) {
      taken_over_ = name_of_owner(owner);
    }
  }
}

// Made under another name and linked: link(2) is one atomic step on NFS too, where O_EXCL was not
// always. False where the lock is there.
bool OutputLock::make() {
  const fs::path own = path_.string() + "." + self_.token;
  int error = write_whole(own, O_CREAT | O_EXCL, to_text(self_));
  if (error == 0) {
    error = link(own.c_str(), path_.c_str()) == 0 ? 0 : errno;
    struct stat status {};
    // An answer that was lost on the way makes link fail although it was done.
    if (error != 0 && stat(own.c_str(), &status) == 0 && status.st_nlink == 2) {
      error = 0;
    }
    unlink(own.c_str());
  }
  if (error == EPERM || error == EOPNOTSUPP || error == ENOSYS || error == EMLINK) {
    error = write_whole(path_, O_CREAT | O_EXCL, to_text(self_));  // no links here
  }
  if (error != 0 && error != EEXIST) {
    throw Error(
        fmt::format("cannot make the lock file {}: {}: the output's folder must be there "
                    "and writable",
                    path_.string(), std::strerror(error)));
  }
  return error == 0;
}

// Clocks of two machines differ: whether the owner lives is seen from its beats alone. One of this
// machine may be on its way out. Comes back where it is gone, or where the lock is.
void OutputLock::wait_for(const LockOwner& owner) {
  constexpr int kLooksAtNeighbour = 12;
  const auto begin = std::chrono::steady_clock::now();
  const bool here = owner.host == self_.host && owner.boot == self_.boot;
  const auto longest = here ? kLooksAtNeighbour * times_.look : times_.stale;
  LockOwner now = owner;
  while (std::chrono::steady_clock::now() - begin < longest) {
    std::this_thread::sleep_for(times_.look);
    if (access(path_.c_str(), F_OK) != 0 || surely_gone(owner, self_)) {
      return;
    }
    const LockOwner seen = lock_owner_from_text(read_text(path_));
    now = seen.token.empty() ? now : seen;  // it may be caught while it is written
    if (now.token != owner.token || (!here && now.beat != owner.beat)) {
      break;
    }
  }
  if (here || now.token != owner.token || now.beat != owner.beat) {
    throw ConfigError(fmt::format(
        "the output is in use by {}: wanted one run at a time; wait for it or end it, or give "
        "another output ({} holds the lock)",
        name_of_owner(now), path_.string()));
  }
}

// Of several runs that find it stale, one moves it away; and should that have been a fresh one's
// after all, it is put back. True where it was the stale one.
bool OutputLock::remove_stale(const LockOwner& owner) {
  const fs::path away = path_.string() + ".stale." + self_.token;
  if (rename(path_.c_str(), away.c_str()) != 0) {
    return false;  // somebody else did: the next look tells
  }
  const bool stale = lock_owner_from_text(read_text(away)).token == owner.token;
  if (!stale && link(away.c_str(), path_.c_str()) != 0) {
    rename(away.c_str(), path_.c_str());
  }
  unlink(away.c_str());
  return stale;
}

void OutputLock::require_ours() const {
  constexpr int kLooks = 20;
  for (int look = 0; look < kLooks; ++look) {
    if (lock_owner_from_text(read_text(path_)).token == self_.token) {
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));  // it may just be beating
  }
  throw Error(
      fmt::format("the lock {} is no longer this run's: another run took it over, or it was "
                  "removed; nothing more is written",
                  path_.string()));
}

void OutputLock::write_beat() {
  ++self_.beat;
  if (lock_owner_from_text(read_text(path_)).token == self_.token) {
    write_whole(path_, 0, to_text(self_));
  }
}

void OutputLock::keep_beating() {
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, times_.beat, [this] { return end_; })) {
    write_beat();
  }
}

}  // namespace tutti
