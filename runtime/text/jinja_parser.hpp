// The parser's two halves share the tokens and how one speaks of them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/jinja_lexer.hpp"
#include "runtime/text/jinja_tree.hpp"

namespace tutti::jinja {

class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  Token take();
  int line() const { return peek().line; }
  bool is(TokenKind kind) const { return peek().kind == kind; }
  bool is_sign(std::string_view sign) const { return is(TokenKind::sign) && peek().text == sign; }
  bool is_name(std::string_view name) const { return is(TokenKind::name) && peek().text == name; }
  // Takes it if it is there.
  bool skip_sign(std::string_view sign);
  bool skip_name(std::string_view name);
  // Errors of all: ModelFileError.
  void want_sign(std::string_view sign);
  void want_name(std::string_view name);
  std::string want_identifier(std::string_view what);
  void want_block_end();
  [[noreturn]] void unexpected(std::string_view wanted) const;

 private:
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
};

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  // `with_condition` false: no `a if b else c` at the top, as in `for x in a if b`.
  ExpressionPtr expression(bool with_condition = true);
  // One expression, or several with commas between them, which are a list.
  ExpressionPtr tuple(bool with_condition = true);
  // What stands after "|": the filters applied to `value`.
  ExpressionPtr filters(ExpressionPtr value);

 private:
  using Rule = ExpressionPtr (ExpressionParser::*)();
  ExpressionPtr conditional();
  ExpressionPtr either();
  ExpressionPtr both();
  ExpressionPtr negation();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr unary(bool with_filters);
  ExpressionPtr unary() { return unary(true); }
  ExpressionPtr primary();
  ExpressionPtr named_value();
  ExpressionPtr list();
  ExpressionPtr dict();
  ExpressionPtr postfix(ExpressionPtr value);
  ExpressionPtr subscript(ExpressionPtr value);
  ExpressionPtr test(ExpressionPtr value);
  ExpressionPtr filter(ExpressionPtr value);
  void arguments(Expression& call);
  ExpressionPtr chain(Rule rule, std::initializer_list<std::string_view> signs);

  TokenStream& tokens_;
  int depth_ = 0;
};

ExpressionPtr make_expression(ExpressionKind kind, int line, std::string name = "");
// Errors: ModelFileError where expressions nest too deeply.
void add_child(Expression& parent, ExpressionPtr child);

}  // namespace tutti::jinja
