#include "launch/id_table.hpp"

#include <utility>

namespace tutti {
namespace {

// 0 marks a free slot; that another key may be meant by 1 is as likely as two equal hashes.
std::uint64_t usable(std::uint64_t key) {
  return key == 0 ? 1 : key;
}

}  // namespace

// Of the key, or where it would go. There is always a free slot.
std::size_t IdTable::place_of(std::uint64_t key) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t place = key & mask;
  while (slots_[place].key != 0 && slots_[place].key != key) {
    place = (place + 1) & mask;
  }
  return place;
}

void IdTable::grow() {
  constexpr std::size_t kFirst = 64;
  std::vector<Slot> old =
      std::exchange(slots_, std::vector<Slot>(slots_.empty() ? kFirst : 2 * slots_.size()));
  for (const Slot& slot : old) {
    if (slot.key != 0) {
      slots_[place_of(slot.key)] = slot;
    }
  }
}

std::optional<std::uint64_t> IdTable::find(std::uint64_t key) const {
  if (slots_.empty()) {
    return std::nullopt;
  }
  const Slot& slot = slots_[place_of(usable(key))];
  return slot.key != 0 ? std::optional(slot.value) : std::nullopt;
}

void IdTable::set(std::uint64_t key, std::uint64_t value) {
  if (4 * (size_ + 1) > 3 * slots_.size()) {
    grow();
  }
  Slot& slot = slots_[place_of(usable(key))];
  size_ += slot.key == 0 ? 1 : 0;
  slot = {.key = usable(key), .value = value};
}

bool IdTable::add(std::uint64_t key, std::uint64_t value) {
  if (find(key)) {
    return false;
  }
  set(key, value);
  return true;
}

}  // namespace tutti
