#include "runtime/text/token_model.hpp"

#include <fmt/format.h>

#include "kernels/error.hpp"
#include "runtime/text/json_access.hpp"

namespace tutti::text {

void Vocabulary::add(std::string spelling, TokenId id, const std::string& where) {
  if (id < 0 || id >= kMaxVocabulary) {
    throw ModelFileError(fmt::format("{}: the id of '{}' wants to be below {}, found {}", where,
                                     spelling, kMaxVocabulary, id));
  }
  const auto index = static_cast<std::size_t>(id);
  if (index >= spelling_.size()) spelling_.resize(index + 1, nullptr);
  const auto [entry, is_new] = ids_.try_emplace(std::move(spelling), id);
  spelling_[index] = &entry->first;
}

std::optional<TokenId> Vocabulary::find(std::string_view spelling) const {
  const auto found = ids_.find(spelling);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

bool Vocabulary::contains(TokenId id) const {
  return id >= 0 && id < end_id() && spelling_[static_cast<std::size_t>(id)] != nullptr;
}

}  // namespace tutti::text
