#include "runtime/cache/page_names.hpp"

#include <algorithm>
#include <cstring>

namespace tutti {
namespace {

constexpr std::size_t kNameWords = sizeof(PageName) / sizeof(std::int32_t);

}  // namespace

PageNames::PageNames(int page_size)
    : page_words_(kNameWords + static_cast<std::size_t>(page_size)), words_(kNameWords) {}

void PageNames::append(std::span<const std::int32_t> ids) {
  while (!ids.empty()) {
    const auto taken = ids.first(std::min(ids.size(), page_words_ - words_.size()));
    words_.insert(words_.end(), taken.begin(), taken.end());
    ids = ids.subspan(taken.size());
    if (words_.size() == page_words_) {
      full_.push_back(xxh3_128(std::as_bytes(std::span(words_))));
      words_.resize(kNameWords);
      std::memcpy(words_.data(), &full_.back(), sizeof(PageName));
    }
  }
}

}  // namespace tutti
