#include "runtime/text/regex_syntax.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/error.hpp"
#include "runtime/text/unicode_additions.hpp"

namespace tutti::text {
namespace {

// The members of \p{name}, as the body of a bracket class; only \p{name} where nothing is new.
std::string property_members(std::string_view name) {
  std::string body = fmt::format("\\p{{{}}}", name);
  for (const UnicodeAddition& range : unicode_additions()) {
    if (range.category.substr(0, name.size()) != name) continue;
    body += fmt::format("\\x{{{:X}}}-\\x{{{:X}}}", static_cast<unsigned>(range.first),
                        static_cast<unsigned>(range.last));
  }
  return body;
}

std::string word_members() {
  return "\\p{Alphabetic}\\p{Pc}\\xB2\\xB3\\xB9\\xBC-\\xBE" + property_members("L") +
         property_members("M") + property_members("Nd");
}

class Rewriter {
 public:
  Rewriter(std::string_view pattern, const std::string& where) : in_(pattern), where_(where) {}

  std::string run() {
    while (at_ < in_.size()) step();
    return std::move(out_);
  }

 private:
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0';
  }
  void copy(std::size_t count) {
    out_ += in_.substr(at_, count);
    at_ = std::min(at_ + count, in_.size());
  }
  [[noreturn]] void refuse(std::string_view what) const {
    throw ModelFileError(
        fmt::format("{}: the pattern '{}' uses {}, which is not supported", where_, in_, what));
  }

  void step() {
    switch (peek()) {
      case '\\':
        atom();
        return escape(false);
      case '[':
        atom();
        return bracket_class();
      case '(':
        return open_group();
      case ')':
        return close_group();
      case '{':
        return interval();
      case '*':
      case '+':
      case '?':
      case '|':
        return copy(1);
      default:
        return literal();
    }
  }

  void atom() { atom_ = out_.size(); }

  void literal() {
    atom();
    copy(1);
    while ((static_cast<unsigned char>(peek()) & 0xC0U) == 0x80U) copy(1);
  }

  void open_group() {
    groups_.push_back(out_.size());
    copy(1);
    if (peek() != '?') return;
    const std::size_t end = in_.find_first_not_of("imx-", at_ + 1);
    if (end == std::string_view::npos || (in_[end] != ':' && in_[end] != ')')) return copy(1);
    for (; at_ < end; ++at_) out_ += peek() == 'm' ? 's' : peek();
  }

  void close_group() {
    if (!groups_.empty()) {
      atom_ = groups_.back();
      groups_.pop_back();
    }
    copy(1);
  }

  void interval() {
    const std::size_t end = in_.find_first_not_of("0123456789,", at_ + 1);
    const bool is_interval = end != std::string_view::npos && in_[end] == '}' && end > at_ + 1;
    if (!is_interval) return literal();
    std::string bounds(in_.substr(at_ + 1, end - at_ - 1));
    if (bounds.front() == ',') bounds.insert(0, "0");
    at_ = end + 1;
    if (peek() == '+') {
      out_.insert(atom_, "(?:");
      out_ += fmt::format("{{{}}})+", bounds);
      ++at_;
    } else {
      out_ += fmt::format("{{{}}}", bounds);
    }
  }

  void bracket_class() {
    copy(1);
    if (peek() == '^') copy(1);
    if (peek() == ']') copy(1);
    while (at_ < in_.size() && peek() != ']') {
      if (peek() == '\\') {
        escape(true);
      } else if (peek() == '[' && peek(1) == ':') {
        const std::size_t end = in_.find(":]", at_ + 2);
        if (end == std::string_view::npos) refuse("an open [: class");
        copy(end + 2 - at_);
      } else if (peek() == '[') {
        refuse("a class inside a class");
      } else if (peek() == '&' && peek(1) == '&') {
        refuse("an intersection of classes");
      } else {
        copy(1);
      }
    }
    copy(1);
  }

  void emit_class(const std::string& members, bool negated, bool inside) {
    if (inside) {
      out_ += members;
    } else {
      out_ += fmt::format("[{}{}]", negated ? "^" : "", members);
    }
  }

  void escape(bool inside) {
    const char kind = peek(1);
    switch (kind) {
      case 's':
        out_ += "\\p{White_Space}";
        break;
      case 'S':
        out_ += "\\P{White_Space}";
        break;
      case 'h':
        emit_class("0-9a-fA-F", false, inside);
        break;
      case 'd':
        emit_class(property_members("Nd"), false, inside);
        break;
      case 'w':
        emit_class(word_members(), false, inside);
        break;
      case 'W':
        if (inside) return copy(2);
        emit_class(word_members(), true, inside);
        break;
      case 'u':
        out_ += fmt::format("\\x{{{}}}", in_.substr(at_ + 2, 4));
        at_ = std::min(at_ + 4, in_.size());
        break;
      case 'p':
      case 'P':
        return property(inside);
      default: {
        // An escaped character of several bytes is copied whole.
        copy(2);
        while ((static_cast<unsigned char>(peek()) & 0xC0U) == 0x80U) copy(1);
        return;
      }
    }
    at_ = std::min(at_ + 2, in_.size());
  }

  void property(bool inside) {
    std::size_t begin = at_ + 3;
    const std::size_t end = in_.find('}', at_);
    if (peek(2) != '{' || end == std::string_view::npos) return copy(2);
    bool negated = peek(1) == 'P';
    if (begin < end && in_[begin] == '^') {
      negated = !negated;
      ++begin;
    }
    const std::string_view name = in_.substr(begin, end - begin);
    const std::string members = property_members(name);
    at_ = end + 1;
    if (negated && inside) {
      out_ += fmt::format("\\P{{{}}}", name);
    } else if (!negated && members.find('-') == std::string::npos) {
      out_ += members;
    } else {
      emit_class(members, negated, inside);
    }
  }

  std::string_view in_;
  const std::string& where_;
  std::string out_;
  std::size_t at_ = 0;
  std::size_t atom_ = 0;             // where the last atom begins in out_
  std::vector<std::size_t> groups_;  // where the open groups begin in out_
};

}  // namespace

std::string pcre2_syntax(std::string_view pattern, const std::string& where) {
  return Rewriter(pattern, where).run();
}

}  // namespace tutti::text
