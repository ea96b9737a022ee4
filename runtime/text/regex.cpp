#include "runtime/text/regex.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <utility>

#include "kernels/error.hpp"
#include "runtime/text/regex_syntax.hpp"
#include "runtime/text/utf8.hpp"

namespace tutti::text {
namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* handle) const {
    Free(handle);
  }
};
using Code = std::unique_ptr<pcre2_code, Deleter<pcre2_code_free>>;
using CompileContext = std::unique_ptr<pcre2_compile_context, Deleter<pcre2_compile_context_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Deleter<pcre2_match_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Deleter<pcre2_match_data_free>>;
using JitStack = std::unique_ptr<pcre2_jit_stack, Deleter<pcre2_jit_stack_free>>;

// Real patterns stay far below it; a pathological one ends within a fraction of a second.
constexpr std::uint32_t kMatchLimit = 2'000'000;
constexpr std::uint32_t kHeapLimitKib = 64 * 1024;
constexpr std::size_t kJitStackBytes = 64U << 20U;

std::string pcre2_message(int code) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

PCRE2_SPTR units(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

}  // namespace

struct Regex::Compiled {
  std::string pattern;
  std::string where;
  Code code;
};

Regex::Regex(std::string_view pattern, std::string where)
    : compiled_(std::make_unique<Compiled>()) {
  compiled_->pattern = pattern;
  compiled_->where = std::move(where);
  const std::string syntax = pcre2_syntax(pattern, compiled_->where);
  const CompileContext context(pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  compiled_->code.reset(pcre2_compile(
      units(syntax), syntax.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY,
      &error, &offset, context.get()));
  if (!compiled_->code) {
    throw ModelFileError(fmt::format("{}: the pattern '{}' is not understood: {}", compiled_->where,
                                     pattern, pcre2_message(error)));
  }
  // Without JIT (refused by some kernels) the interpreter matches the same, at a third of the
  // speed.
  pcre2_jit_compile(compiled_->code.get(), PCRE2_JIT_COMPLETE);
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

std::vector<Span> Regex::find_all(std::string_view text) const {
  const MatchContext context(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(context.get(), kMatchLimit);
  pcre2_set_heap_limit(context.get(), kHeapLimitKib);
  const MatchData data(pcre2_match_data_create_from_pattern(compiled_->code.get(), nullptr));
  JitStack stack;
  std::vector<Span> found;
  std::size_t at = 0;
  while (at <= text.size()) {
    const int rc = pcre2_match(compiled_->code.get(), units(text), text.size(), at,
                               PCRE2_NO_UTF_CHECK, data.get(), context.get());
    if (rc == PCRE2_ERROR_NOMATCH) break;
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT && !stack) {
      stack.reset(pcre2_jit_stack_create(32 * 1024, kJitStackBytes, nullptr));
      pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
      continue;
    }
    if (rc < 0) {
      throw ModelFileError(fmt::format("{}: the pattern '{}' gave up on a text of {} bytes: {}",
                                       compiled_->where, compiled_->pattern, text.size(),
                                       pcre2_message(rc)));
    }
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data.get());
    const Span span{ends[0], ends[1]};
    const bool empty = span.begin >= span.end;  // \K in a look-ahead can even turn it round
    if (!empty || found.empty() || found.back().end != span.begin) {
      found.push_back(empty ? Span{span.begin, span.begin} : span);
    }
    at = span.end;
    if (empty) {
      if (at >= text.size()) break;
      at = std::max(at, span.begin) + code_point_at(text, at).size;
    }
  }
  return found;
}

}  // namespace tutti::text
