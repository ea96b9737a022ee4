#include "runtime/text/jinja_lexer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "kernels/error.hpp"
#include "runtime/text/jinja_text.hpp"
#include "runtime/text/utf8.hpp"

namespace tutti::jinja {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool begins_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// "\r\n" and "\r" are newlines, and one at the end goes.
std::string with_plain_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
    } else if (i + 1 == source.size() || source[i + 1] != '\n') {
      out += '\n';
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

void strip_right(std::string& text) {
  text = stripped(Text(std::move(text)), Side::right).bytes();
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(with_plain_newlines(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) {
      const std::size_t tag = next_tag();
      std::string text = source_.substr(at_, tag - at_);
      if (tag == source_.size()) {
        push(TokenKind::text, std::move(text));
        break;
      }
      const char kind = source_[tag + 1];
      const char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
      if (sign == '-') {
        strip_right(text);
      } else if (sign != '+' && kind != '{') {
        strip_line_start(text, at_);
      }
      const int first_line = line_;
      count_lines(at_, tag);
      if (!text.empty()) tokens_.push_back({TokenKind::text, std::move(text), first_line});
      at_ = tag + 2;
      if (sign == '-' || (sign == '+' && kind != '#')) ++at_;
      if (kind == '#') {
        comment();
      } else if (kind == '{') {
        tag_of(TokenKind::output_begin, TokenKind::output_end, "}}");
      } else if (!raw()) {
        tag_of(TokenKind::block_begin, TokenKind::block_end, "%}");
      }
    }
    push(TokenKind::end, "");
    return std::move(tokens_);
  }

 private:
  void push(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  void count_lines(std::size_t begin, std::size_t end) {
    const auto* data = source_.data();
    line_ += static_cast<int>(std::count(data + begin, data + end, '\n'));
  }

  std::size_t next_tag() const {
    for (std::size_t i = at_; i + 1 < source_.size(); ++i) {
      if (source_[i] != '{') continue;
      const char next = source_[i + 1];
      if (next == '{' || next == '%' || next == '#') return i;
    }
    return source_.size();
  }

  // lstrip_blocks: only white space stands between the line's start and the tag after the text,
  // which begins at `begin`.
  void strip_line_start(std::string& text, std::size_t begin) const {
    const std::size_t newline = text.rfind('\n');
    const bool begins_line =
        newline != std::string::npos || begin == 0 || source_[begin - 1] == '\n';
    if (!begins_line) return;
    const std::size_t line = newline == std::string::npos ? 0 : newline + 1;
    if (stripped(Text(text.substr(line)), Side::both).empty()) text.resize(line);
  }

  bool has(std::string_view words) const {
    return std::string_view(source_).substr(at_).starts_with(words);
  }

  void skip_space() {
    while (const std::size_t bytes = space_at_start(std::string_view(source_).substr(at_, 4))) {
      if (source_[at_] == '\n') ++line_;
      at_ += bytes;
    }
  }

  // What may follow a block or a comment: "-" takes all white space, else one newline goes.
  bool close(std::string_view end, bool trims_newline) {
    const bool minus = has("-") && std::string_view(source_).substr(at_ + 1).starts_with(end);
    const bool plus =
        has("+") && trims_newline && std::string_view(source_).substr(at_ + 1).starts_with(end);
    if (!minus && !plus && !has(end)) return false;
    at_ += end.size() + (minus || plus ? 1 : 0);
    space_after(minus, plus || !trims_newline);
    return true;
  }

  void space_after(bool all, bool none) {
    if (all) {
      skip_space();
    } else if (!none && at_ < source_.size() && source_[at_] == '\n') {
      ++at_;
      ++line_;
    }
  }

  void comment() {
    const int line = line_;
    while (at_ < source_.size()) {
      if (close("#}", true)) return;
      if (source_[at_] == '\n') ++line_;
      ++at_;
    }
    fail_at(line, "a comment {# is not closed");
  }

  // {% raw %} … {% endraw %}
  bool raw() {
    const std::size_t begin = at_;
    const int line = line_;
    skip_space();
    if (has("raw")) {
      at_ += 3;
      skip_space();
      if (close("%}", false)) {
        raw_text(line);
        return true;
      }
    }
    at_ = begin;
    line_ = line;
    return false;
  }

  void raw_text(int line) {
    const std::size_t begin = at_;
    for (std::size_t tag = at_; (tag = source_.find("{%", tag)) != std::string::npos; ++tag) {
      count_lines(at_, tag);
      at_ = tag + 2;
      const char sign = at_ < source_.size() ? source_[at_] : '\0';
      if (sign == '-' || sign == '+') ++at_;
      skip_space();
      if (!has("endraw")) continue;
      at_ += 6;
      skip_space();
      if (!close("%}", true)) continue;
      std::string text = source_.substr(begin, tag - begin);
      if (sign == '-') {
        strip_right(text);
      } else if (sign != '+') {
        strip_line_start(text, begin);
      }
      tokens_.push_back({TokenKind::text, std::move(text), line});
      return;
    }
    fail_at(line, "{% raw %} is not closed by {% endraw %}");
  }

  void tag_of(TokenKind begin, TokenKind end, std::string_view closing) {
    const int line = line_;
    push(begin, "");
    std::string brackets;
    while (true) {
      skip_space();
      if (at_ >= source_.size()) fail_at(line, fmt::format("a tag is not closed by {}", closing));
      const int here = line_;
      if (brackets.empty() && close(closing, end == TokenKind::block_end)) {
        tokens_.push_back({end, "", here});
        return;
      }
      token(brackets);
    }
  }

  void token(std::string& brackets) {
    const char c = source_[at_];
    if (c == '\'' || c == '"') return string(c);
    if (begins_name(c)) {
      const std::size_t begin = at_;
      while (at_ < source_.size() && (begins_name(source_[at_]) || is_digit(source_[at_]))) ++at_;
      return push(TokenKind::name, source_.substr(begin, at_ - begin));
    }
    if (is_digit(c)) return number();
    constexpr std::array<std::string_view, 6> kTwo = {"//", "**", "==", "!=", "<=", ">="};
    for (const std::string_view sign : kTwo) {
      if (!has(sign)) continue;
      at_ += 2;
      return push(TokenKind::sign, std::string(sign));
    }
    if (std::string_view("+-*/%~[](){}<>=.:|,").find(c) == std::string_view::npos) {
      const std::size_t size = text::code_point_at(source_, at_).size;
      fail_at(line_, fmt::format("unexpected character '{}'", source_.substr(at_, size)));
    }
    balance(c, brackets);
    ++at_;
    push(TokenKind::sign, std::string(1, c));
  }

  void balance(char c, std::string& brackets) const {
    if (c == '(') brackets += ')';
    if (c == '[') brackets += ']';
    if (c == '{') brackets += '}';
    if (c != ')' && c != ']' && c != '}') return;
    if (brackets.empty() || brackets.back() != c) {
      fail_at(line_, fmt::format("unexpected '{}'", c));
    }
    brackets.pop_back();
  }

  void number() {
    const std::size_t begin = at_;
    const auto digits = [&] {
      while (at_ < source_.size() && is_digit(source_[at_])) ++at_;
    };
    digits();
    const bool decimal =
        at_ + 1 < source_.size() && source_[at_] == '.' && is_digit(source_[at_ + 1]);
    if (decimal) {
      ++at_;
      digits();
    }
    if (at_ < source_.size() && begins_name(source_[at_])) {
      fail_at(line_, "only plain decimal numbers are supported");
    }
    push(decimal ? TokenKind::decimal : TokenKind::integer, source_.substr(begin, at_ - begin));
  }

  void string(char quote);
  void escape(std::string& out);

  std::string source_;
  std::size_t at_ = 0;
  int line_ = 1;
  std::vector<Token> tokens_;
};

void Lexer::string(char quote) {
  const int line = line_;
  std::string out;
  for (++at_; at_ < source_.size() && source_[at_] != quote;) {
    if (source_[at_] == '\\') {
      escape(out);
      continue;
    }
    if (source_[at_] == '\n') ++line_;
    out += source_[at_++];
  }
  if (at_ >= source_.size()) fail_at(line, "a string is not closed");
  ++at_;
  tokens_.push_back({TokenKind::string, std::move(out), line});
}

// Python's escapes; an unknown one stays as it is.
void Lexer::escape(std::string& out) {
  constexpr std::string_view kLetters = "abfnrtv\\'\"";
  constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\'\"";
  const char letter = at_ + 1 < source_.size() ? source_[at_ + 1] : '\0';
  at_ += 2;
  if (const std::size_t known = kLetters.find(letter);
      known != std::string_view::npos && letter != '\0') {
    out += kMeanings[known];
    return;
  }
  if (letter == '\n') {
    ++line_;
    return;
  }
  if (letter == 'N' || is_digit(letter)) {
    fail_at(line_, fmt::format("the escape \\{} is not supported", letter));
  }
  const std::size_t digits = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
  if (digits == 0) {
    out += '\\';
    --at_;  // what follows stands for itself
    return;
  }
  const std::string hex = source_.substr(std::min(at_, source_.size()), digits);
  const bool whole =
      hex.size() == digits && hex.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  const std::uint32_t value =
      whole ? static_cast<std::uint32_t>(std::stoul(hex, nullptr, 16)) : 0xffffffff;
  if (value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) {
    fail_at(line_, fmt::format("\\{} wants {} hexadecimal digits of a character", letter, digits));
  }
  text::append_utf8(out, static_cast<char32_t>(value));
  at_ += digits;
}

}  // namespace

std::vector<Token> tokens_of(std::string_view source) {
  if (!text::is_valid_utf8(source)) fail_at(1, "the template is not UTF-8");
  return Lexer(source).run();
}

void fail_at(int line, std::string_view what) {
  throw ModelFileError(fmt::format("chat template, line {}: {}", line, what));
}

}  // namespace tutti::jinja
