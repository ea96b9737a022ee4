#include "runtime/comm/mpi_control_plane.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <limits>
#include <numeric>
#include <thread>

#include "runtime/comm/mpi_handle.hpp"

namespace tutti {
namespace {

using std::chrono::microseconds;

constexpr microseconds kSpin{1000};
constexpr microseconds kFirstSleep{16};
constexpr microseconds kLongestSleep{1000};
// A sender of a long message feeds it piece by piece: it must look again soon.
constexpr microseconds kLongestSendSleep{64};

// What a waiting rank does between two looks.
class Patience {
 public:
  explicit Patience(microseconds longest) : longest_(longest) {}

  void pause() {
    if (std::chrono::steady_clock::now() - begin_ < kSpin) {
      std::this_thread::yield();  // to a rank that shares this core
      return;
    }
    std::this_thread::sleep_for(sleep_);
    sleep_ = std::min(2 * sleep_, longest_);
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  microseconds sleep_ = kFirstSleep;
  microseconds longest_;
};

void wait(RankState& state, const CollectiveCall& call, MPI_Request& request,
          microseconds longest) {
  const RankState::Waiting waiting(state, call);
  Patience patience(longest);
  for (int done = 0;;) {
    TUTTI_MPI(MPI_Test(&request, &done, MPI_STATUS_IGNORE), call);
    if (done != 0) {
      return;
    }
    patience.pause();
  }
}

int checked_count(const CollectiveCall& call, std::uint64_t bytes) {
  if (bytes > static_cast<std::uint64_t>(std::numeric_limits<int>::max())) {
    throw CommError(
        fmt::format("{}: wants less than 2^31 bytes in all, found {}", describe(call), bytes));
  }
  return static_cast<int>(bytes);
}

}  // namespace

CollectiveCall MpiControlPlane::next(std::string_view collective) {
  return {.path = "mpi control",
          .collective = collective,
          .sequence = ++sequence_,
          .rank = rank(),
          .size = size()};
}

void MpiControlPlane::broadcast(std::vector<std::byte>& bytes, int root) {
  const CollectiveCall call = next("broadcast");
  if (root < 0 || root >= size()) {
    throw CommError(
        fmt::format("{}: wants a root in 0..{}, found {}", describe(call), size() - 1, root));
  }
  // Counted from the root: the parent of v lacks v's lowest set bit; children add lower bits.
  const int v = (rank() - root + size()) % size();
  int bit = 1;
  while (bit < size() && (v & bit) == 0) {
    bit <<= 1;
  }
  if (v != 0) {
    receive(call, bytes, (v - bit + root) % size());
  }
  const int count = checked_count(call, bytes.size());
  std::vector<MPI_Request> sends;
  for (bit >>= 1; bit > 0; bit >>= 1) {
    if (v + bit < size()) {
      TUTTI_MPI(MPI_Isend(bytes.data(), count, MPI_BYTE, (v + bit + root) % size(), 0,
                          group_.handle().comm, &sends.emplace_back()),
                call);
    }
  }
  for (MPI_Request& send : sends) {
    wait(group_.state(), call, send, kLongestSendSleep);
  }
}

// The length comes with the message.
void MpiControlPlane::receive(const CollectiveCall& call, std::vector<std::byte>& bytes, int from) {
  const RankState::Waiting waiting(group_.state(), call, RankState::Doing::rest);
  Patience patience(kLongestSleep);
  MPI_Message message = MPI_MESSAGE_NULL;
  MPI_Status status;
  for (int found = 0;;) {
    TUTTI_MPI(MPI_Improbe(from, 0, group_.handle().comm, &found, &message, &status), call);
    wait_on();
    if (found != 0) {
      break;
    }
    patience.pause();
  }
  int count = 0;
  TUTTI_MPI(MPI_Get_count(&status, MPI_BYTE, &count), call);
  bytes.resize(static_cast<std::size_t>(count));
  TUTTI_MPI(MPI_Mrecv(bytes.data(), count, MPI_BYTE, &message, MPI_STATUS_IGNORE), call);
}

std::vector<std::vector<std::byte>> MpiControlPlane::all_gather(std::span<const std::byte> bytes) {
  const CollectiveCall call = next("all_gather");
  const auto ranks = static_cast<std::size_t>(size());
  const std::uint64_t length = bytes.size();
  std::vector<std::uint64_t> lengths(ranks);
  MPI_Request request = MPI_REQUEST_NULL;
  TUTTI_MPI(MPI_Iallgather(&length, 1, MPI_UINT64_T, lengths.data(), 1, MPI_UINT64_T,
                           group_.handle().comm, &request),
            call);
  wait(group_.state(), call, request, kLongestSleep);
  const std::uint64_t total = std::accumulate(lengths.begin(), lengths.end(), std::uint64_t{0});
  checked_count(call, total);
  std::vector<int> counts(lengths.begin(), lengths.end());
  std::vector<int> begins(ranks);
  std::exclusive_scan(counts.begin(), counts.end(), begins.begin(), 0);
  std::vector<std::byte> all(total);
  TUTTI_MPI(MPI_Iallgatherv(bytes.data(), static_cast<int>(length), MPI_BYTE, all.data(),
                            counts.data(), begins.data(), MPI_BYTE, group_.handle().comm, &request),
            call);
  wait(group_.state(), call, request, kLongestSendSleep);
  std::vector<std::vector<std::byte>> result;
  for (std::size_t r = 0; r < ranks; ++r) {
    const auto begin = all.begin() + begins[r];
    result.emplace_back(begin, begin + counts[r]);
  }
  return result;
}

void MpiControlPlane::barrier() {
  const CollectiveCall call = next("barrier");
  MPI_Request request = MPI_REQUEST_NULL;
  TUTTI_MPI(MPI_Ibarrier(group_.handle().comm, &request), call);
  wait(group_.state(), call, request, kLongestSleep);
}

MpiControlPlane::~MpiControlPlane() {
  // MPI wants every message received; what has come by now is all that a peer that ended sent.
  try {
    while (rank() == 0 && std::uncaught_exceptions() == 0 && notified()) {
    }
  } catch (const CommError&) {
  }
}

// A few bytes leave at once, whatever the root does: MPI libraries send such messages eagerly, and
// a rank says at most a handful of words.
void MpiControlPlane::notify_root(int word) {
  if (rank() == 0) {
    ControlPlane::notify_root(word);
    return;
  }
  const CollectiveCall call = {.path = "mpi control",
                               .collective = "notify_root",
                               .sequence = sequence_,
                               .rank = rank(),
                               .size = size()};
  TUTTI_MPI(MPI_Send(&word, 1, MPI_INT, 0, 0, words_.handle().comm), call);
}

std::optional<int> MpiControlPlane::notified() {
  if (const std::optional<int> own = ControlPlane::notified()) {
    return own;
  }
  const CollectiveCall call = {.path = "mpi control",
                               .collective = "notified",
                               .sequence = sequence_,
                               .rank = rank(),
                               .size = size()};
  int found = 0;
  MPI_Message message = MPI_MESSAGE_NULL;
  TUTTI_MPI(
      MPI_Improbe(MPI_ANY_SOURCE, 0, words_.handle().comm, &found, &message, MPI_STATUS_IGNORE),
      call);
  if (found == 0) {
    return std::nullopt;
  }
  int word = 0;
  TUTTI_MPI(MPI_Mrecv(&word, 1, MPI_INT, &message, MPI_STATUS_IGNORE), call);
  return word;
}

}  // namespace tutti
