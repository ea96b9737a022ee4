// The expressions of a chat template: Jinja2's grammar, one function a level of precedence.
#include <fmt/format.h>

#include <charconv>

#include "runtime/text/jinja_functions.hpp"
#include "runtime/text/jinja_parser.hpp"

namespace tutti::jinja {
namespace {

constexpr int kMaxDepth = 200;  // of expressions in expressions

// Counts the calls of a parser that stand on the stack.
class DepthGuard {
 public:
  DepthGuard(int& depth, int line) : depth_(depth) {
    if (++depth_ > kMaxDepth) fail_at(line, "expressions nest too deeply");
  }
  ~DepthGuard() { --depth_; }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;

 private:
  int& depth_;
};

ExpressionPtr literal(Value value, int line) {
  ExpressionPtr out = make_expression(ExpressionKind::literal, line);
  out->value = std::move(value);
  return out;
}

ExpressionPtr join(ExpressionKind kind, std::string name, int line, ExpressionPtr left,
                   ExpressionPtr right) {
  ExpressionPtr out = make_expression(kind, line, std::move(name));
  add_child(*out, std::move(left));
  add_child(*out, std::move(right));
  return out;
}

Value number_of(const Token& token) {
  const char* end = token.text.data() + token.text.size();
  if (token.kind == TokenKind::decimal) return std::stod(token.text);
  std::int64_t value = 0;
  if (std::from_chars(token.text.data(), end, value).ec != std::errc()) {
    fail_at(token.line, fmt::format("the number {} is too large", token.text));
  }
  return value;
}

}  // namespace

ExpressionPtr make_expression(ExpressionKind kind, int line, std::string name) {
  auto out = std::make_unique<Expression>();
  out->kind = kind;
  out->line = line;
  out->name = std::move(name);
  return out;
}

void add_child(Expression& parent, ExpressionPtr child) {
  if (child != nullptr) parent.depth = std::max(parent.depth, child->depth + 1);
  if (parent.depth > kMaxDepth) fail_at(parent.line, "expressions nest too deeply");
  parent.children.push_back(std::move(child));
}

ExpressionPtr ExpressionParser::expression(bool with_condition) {
  const DepthGuard guard(depth_, tokens_.line());
  return with_condition ? conditional() : either();
}

ExpressionPtr ExpressionParser::tuple(bool with_condition) {
  const int line = tokens_.line();
  ExpressionPtr first = expression(with_condition);
  if (!tokens_.is_sign(",")) return first;
  ExpressionPtr out = make_expression(ExpressionKind::list, line);
  add_child(*out, std::move(first));
  while (tokens_.skip_sign(",")) {
    if (tokens_.is(TokenKind::block_end) || tokens_.is(TokenKind::output_end) ||
        tokens_.is_sign(")")) {
      break;
    }
    add_child(*out, expression(with_condition));
  }
  return out;
}

ExpressionPtr ExpressionParser::conditional() {
  ExpressionPtr value = either();
  while (tokens_.is_name("if")) {
    const int line = tokens_.take().line;
    ExpressionPtr condition = either();
    ExpressionPtr otherwise = tokens_.skip_name("else") ? expression() : nullptr;
    value = join(ExpressionKind::conditional, "", line, std::move(condition), std::move(value));
    add_child(*value, std::move(otherwise));
  }
  return value;
}

ExpressionPtr ExpressionParser::either() {
  ExpressionPtr left = both();
  while (tokens_.is_name("or")) {
    const int line = tokens_.take().line;
    left = join(ExpressionKind::either, "", line, std::move(left), both());
  }
  return left;
}

ExpressionPtr ExpressionParser::both() {
  ExpressionPtr left = negation();
  while (tokens_.is_name("and")) {
    const int line = tokens_.take().line;
    left = join(ExpressionKind::both, "", line, std::move(left), negation());
  }
  return left;
}

ExpressionPtr ExpressionParser::negation() {
  if (!tokens_.is_name("not")) return comparison();
  const DepthGuard guard(depth_, tokens_.line());
  ExpressionPtr out = make_expression(ExpressionKind::negation, tokens_.take().line);
  add_child(*out, negation());
  return out;
}

ExpressionPtr ExpressionParser::comparison() {
  const int line = tokens_.line();
  ExpressionPtr first = sum();
  ExpressionPtr out;
  while (true) {
    std::string sign;
    for (const char* known : {"==", "!=", "<", ">", "<=", ">="}) {
      if (tokens_.skip_sign(known)) sign = known;
      if (!sign.empty()) break;
    }
    if (sign.empty() && tokens_.skip_name("in")) sign = "in";
    const bool not_in = tokens_.is_name("not") && tokens_.peek(1).kind == TokenKind::name &&
                        tokens_.peek(1).text == "in";
    if (sign.empty() && not_in) {
      tokens_.take();
      tokens_.take();
      sign = "not in";
    }
    if (sign.empty()) return out == nullptr ? std::move(first) : std::move(out);
    if (out == nullptr) {
      out = make_expression(ExpressionKind::comparison, line);
      add_child(*out, std::move(first));
    }
    out->operators.push_back(std::move(sign));
    add_child(*out, sum());
  }
}

ExpressionPtr ExpressionParser::chain(Rule rule, std::initializer_list<std::string_view> signs) {
  ExpressionPtr left = (this->*rule)();
  while (true) {
    const auto* sign = std::find_if(signs.begin(), signs.end(),
                                    [&](std::string_view each) { return tokens_.is_sign(each); });
    if (sign == signs.end()) return left;
    const int line = tokens_.take().line;
    left = join(ExpressionKind::arithmetic, std::string(*sign), line, std::move(left),
                (this->*rule)());
  }
}

ExpressionPtr ExpressionParser::sum() {
  return chain(&ExpressionParser::concatenation, {"+", "-"});
}
ExpressionPtr ExpressionParser::concatenation() {
  return chain(&ExpressionParser::product, {"~"});
}
ExpressionPtr ExpressionParser::product() {
  return chain(&ExpressionParser::power, {"*", "/", "//", "%"});
}
ExpressionPtr ExpressionParser::power() {
  return chain(&ExpressionParser::unary, {"**"});
}

ExpressionPtr ExpressionParser::unary(bool with_filters) {
  const DepthGuard guard(depth_, tokens_.line());
  ExpressionPtr value;
  if (tokens_.is_sign("-") || tokens_.is_sign("+")) {
    const Token sign = tokens_.take();
    value =
        make_expression(sign.text == "-" ? ExpressionKind::minus : ExpressionKind::plus, sign.line);
    add_child(*value, unary(false));
  } else {
    value = primary();
  }
  value = postfix(std::move(value));
  return with_filters ? filters(std::move(value)) : std::move(value);
}

ExpressionPtr ExpressionParser::primary() {
  const int line = tokens_.line();
  if (tokens_.is(TokenKind::name)) return named_value();
  if (tokens_.is(TokenKind::string)) {
    std::string text;
    while (tokens_.is(TokenKind::string)) text += tokens_.take().text;
    return literal(Value::text(text), line);
  }
  if (tokens_.is(TokenKind::integer) || tokens_.is(TokenKind::decimal)) {
    return literal(number_of(tokens_.take()), line);
  }
  if (tokens_.skip_sign("(")) {
    if (tokens_.skip_sign(")")) return make_expression(ExpressionKind::list, line);
    ExpressionPtr inner = tuple();
    tokens_.want_sign(")");
    return inner;
  }
  if (tokens_.is_sign("[")) return list();
  if (tokens_.is_sign("{")) return dict();
  tokens_.unexpected("an expression");
}

ExpressionPtr ExpressionParser::named_value() {
  const Token token = tokens_.take();
  const std::string& name = token.text;
  if (name == "true" || name == "True") return literal(true, token.line);
  if (name == "false" || name == "False") return literal(false, token.line);
  if (name == "none" || name == "None") return literal(Value(), token.line);
  return make_expression(ExpressionKind::name, token.line, name);
}

ExpressionPtr ExpressionParser::list() {
  ExpressionPtr out = make_expression(ExpressionKind::list, tokens_.line());
  tokens_.want_sign("[");
  while (!tokens_.is_sign("]")) {
    add_child(*out, expression());
    if (!tokens_.skip_sign(",")) break;
  }
  tokens_.want_sign("]");
  return out;
}

ExpressionPtr ExpressionParser::dict() {
  ExpressionPtr out = make_expression(ExpressionKind::dict, tokens_.line());
  tokens_.want_sign("{");
  while (!tokens_.is_sign("}")) {
    add_child(*out, expression());
    tokens_.want_sign(":");
    add_child(*out, expression());
    if (!tokens_.skip_sign(",")) break;
  }
  tokens_.want_sign("}");
  return out;
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr value) {
  while (true) {
    const int line = tokens_.line();
    if (tokens_.skip_sign(".")) {
      const bool index = tokens_.is(TokenKind::integer);
      ExpressionPtr out =
          make_expression(index ? ExpressionKind::subscript : ExpressionKind::attribute, line,
                          index ? "" : tokens_.want_identifier("the name of an attribute"));
      add_child(*out, std::move(value));
      if (index) add_child(*out, literal(number_of(tokens_.take()), line));
      value = std::move(out);
    } else if (tokens_.skip_sign("[")) {
      value = subscript(std::move(value));
    } else if (tokens_.is_sign("(")) {
      ExpressionPtr out = make_expression(ExpressionKind::call, line);
      add_child(*out, std::move(value));
      arguments(*out);
      value = std::move(out);
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr value) {
  const int line = tokens_.line();
  ExpressionPtr parts[3];
  int colons = 0;
  for (; !tokens_.is_sign("]"); ++colons) {
    if (!tokens_.is_sign(":")) parts[colons] = expression();
    if (colons == 2 || !tokens_.skip_sign(":")) break;
    if (tokens_.is_sign("]")) {
      ++colons;
      break;
    }
  }
  tokens_.want_sign("]");
  ExpressionPtr out =
      make_expression(colons > 0 ? ExpressionKind::slice : ExpressionKind::subscript, line);
  if (colons == 0 && parts[0] == nullptr) fail_at(line, "a subscript [] wants an index");
  add_child(*out, std::move(value));
  for (int i = 0; i < (colons > 0 ? 3 : 1); ++i) add_child(*out, std::move(parts[i]));
  return out;
}

void ExpressionParser::arguments(Expression& call) {
  tokens_.want_sign("(");
  while (!tokens_.is_sign(")")) {
    if (tokens_.is_sign("*") || tokens_.is_sign("**")) {
      fail_at(tokens_.line(), "arguments by * or ** are not supported");
    }
    const bool named = tokens_.is(TokenKind::name) && tokens_.peek(1).kind == TokenKind::sign &&
                       tokens_.peek(1).text == "=";
    if (named) {
      std::string name = tokens_.take().text;
      tokens_.want_sign("=");
      ExpressionPtr value = expression();
      call.depth = std::max(call.depth, value->depth + 1);
      call.named.emplace_back(std::move(name), std::move(value));
    } else if (!call.named.empty()) {
      fail_at(tokens_.line(), "an argument without a name follows a named one");
    } else {
      add_child(call, expression());
    }
    if (!tokens_.skip_sign(",")) break;
  }
  tokens_.want_sign(")");
}

ExpressionPtr ExpressionParser::filters(ExpressionPtr value) {
  while (true) {
    if (tokens_.is_sign("|")) {
      value = filter(std::move(value));
    } else if (tokens_.is_name("is")) {
      value = test(std::move(value));
    } else if (tokens_.is_sign("(")) {
      value = postfix(std::move(value));
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::filter(ExpressionPtr value) {
  tokens_.want_sign("|");
  const int line = tokens_.line();
  const std::string name = tokens_.want_identifier("the name of a filter");
  if (find_filter(name) == nullptr) {
    fail_at(line, fmt::format("the filter '{}' is not supported", name));
  }
  ExpressionPtr out = make_expression(ExpressionKind::filter, line, name);
  add_child(*out, std::move(value));
  if (tokens_.is_sign("(")) arguments(*out);
  return out;
}

ExpressionPtr ExpressionParser::test(ExpressionPtr value) {
  const int line = tokens_.line();
  tokens_.want_name("is");
  const bool negated = tokens_.skip_name("not");
  std::string name =
      tokens_.is_name("in") ? tokens_.take().text : tokens_.want_identifier("the name of a test");
  if (find_test(name) == nullptr)
    fail_at(line, fmt::format("the test '{}' is not supported", name));
  ExpressionPtr out = make_expression(ExpressionKind::test, line, std::move(name));
  add_child(*out, std::move(value));
  const bool opens = tokens_.is_sign("[") || tokens_.is_sign("{") ||
                     tokens_.is(TokenKind::string) || tokens_.is(TokenKind::integer) ||
                     tokens_.is(TokenKind::decimal);
  const bool word = tokens_.is(TokenKind::name) && !tokens_.is_name("else") &&
                    !tokens_.is_name("or") && !tokens_.is_name("and") && !tokens_.is_name("is") &&
                    !tokens_.is_name("if");
  if (tokens_.is_sign("(")) {
    arguments(*out);
  } else if (opens || word) {
    add_child(*out, postfix(primary()));
  }
  if (!negated) return out;
  ExpressionPtr turned = make_expression(ExpressionKind::negation, line);
  add_child(*turned, std::move(out));
  return turned;
}

}  // namespace tutti::jinja
