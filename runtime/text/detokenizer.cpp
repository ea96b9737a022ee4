#include "runtime/text/detokenizer.hpp"

#include <algorithm>
#include <span>

#include "runtime/text/decoder.hpp"
#include "runtime/text/utf8.hpp"

namespace tutti {
namespace {

using text::kReplacement;

// A window that has not settled for so many ids is garbage; it is cut so that time stays linear.
constexpr std::size_t kLongWindow = 32;
constexpr std::size_t kContext = 8;  // ids; more than the bytes of one character

}  // namespace

Detokenizer::Detokenizer(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(tokenizer), skip_special_(skip_special) {}

// The window begins with ids whose text is out already: a decoder treats the first id of what it
// sees in a way of its own (it strips a space), and so the new ones are never first.
std::string Detokenizer::push(TokenId id) {
  if (skip_special_ && tokenizer_.is_special(id)) return {};
  ids_.push_back(id);
  // How a run of byte tokens reads is settled by its end: a bad byte makes all of it U+FFFD.
  if (text::fallback_byte(tokenizer_.token_text(id)) >= 0) return {};
  const std::string all = window_text(window_);
  const bool open = all.ends_with(kReplacement);  // more bytes may make it a character
  const std::size_t settled = all.size() - (open ? kReplacement.size() : 0);
  std::string piece;
  if (settled > emitted_) piece = all.substr(emitted_, settled - emitted_);
  emitted_ = std::max(emitted_, settled);
  if (open) {
    shorten_garbage(all);
  } else {
    restart_at_last();
  }
  return piece;
}

std::string Detokenizer::finish() {
  const std::string all = window_text(window_);
  std::string piece = all.size() > emitted_ ? all.substr(emitted_) : std::string();
  ids_.clear();
  window_ = 0;
  emitted_ = 0;
  return piece;
}

std::string Detokenizer::window_text(std::size_t begin) const {
  return tokenizer_.decode(std::span(ids_).subspan(begin), skip_special_);
}

// Keeps the last id alone as the context. Not where it shows nothing by itself: then the decoder
// would still take what follows it for the beginning.
void Detokenizer::restart_at_last() {
  const std::size_t last = ids_.size() - 1;
  if (last == window_) return;
  const std::string context = window_text(last);
  if (context.empty()) return;
  forget_before(last);
  emitted_ = context.size();
}

// Cuts a window that only grows, at a place where both halves read the same apart as together.
void Detokenizer::shorten_garbage(const std::string& all) {
  const std::size_t count = ids_.size() - window_;
  if (count < kLongWindow || count % kLongWindow != 0) return;
  for (std::size_t back = kContext; back < 2 * kContext; ++back) {
    const std::size_t cut = ids_.size() - back;
    const std::string tail = window_text(cut);
    const std::string head =
        tokenizer_.decode(std::span(ids_).subspan(window_, cut - window_), skip_special_);
    if (tail.size() <= kReplacement.size() || head + tail != all) continue;
    emitted_ -= head.size();
    forget_before(cut);
    return;
  }
}

void Detokenizer::forget_before(std::size_t index) {
  window_ = index;
  if (window_ < 1024) return;
  ids_.erase(ids_.begin(), ids_.begin() + static_cast<std::ptrdiff_t>(window_));
  window_ = 0;
}

}  // namespace tutti
