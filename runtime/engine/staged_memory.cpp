#include "runtime/engine/staged_memory.hpp"

namespace tutti {

StagedMemory::StagedMemory(Device& device, std::size_t bytes, std::string_view what)
    : device_(device), memory_(device.allocate(bytes, what)) {
  for (Staging& staging : staging_) {
    staging.memory = device.allocate_staging(bytes, what);
    staging.copied = device.make_event();
  }
}

std::byte* StagedMemory::next() {
  Staging& staging = staging_[++turn_ % staging_.size()];
  if (staging.in_flight) {
    staging.copied->wait();
  }
  return staging.memory.data();
}

void StagedMemory::send(std::size_t bytes) {
  Staging& staging = staging_[turn_ % staging_.size()];
  device_.copy_in(memory_.data(), staging.memory.data(), bytes);
  staging.copied->record();
  staging.in_flight = true;
}

}  // namespace tutti
