// Two numbers for each of millions of ids, 16 bytes a slot: what a batch remembers of a request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace tutti {

// Open addressing, at most three quarters full. Keys are hashes already.
class IdTable {
 public:
  std::size_t size() const { return size_; }
  std::optional<std::uint64_t> find(std::uint64_t key) const;
  void set(std::uint64_t key, std::uint64_t value);
  // False, and nothing changed, where the key is there already.
  bool add(std::uint64_t key, std::uint64_t value);

 private:
  struct Slot {
    std::uint64_t key = 0;  // 0: free
    std::uint64_t value = 0;
  };
  std::size_t place_of(std::uint64_t key) const;
  void grow();

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace tutti
