// The statements of a chat template, and the stream of tokens that both parsers read.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "runtime/text/jinja_parser.hpp"

namespace tutti::jinja {
namespace {

constexpr int kMaxDepth = 100;  // of statements in statements

std::string shown(const Token& token) {
  switch (token.kind) {
    case TokenKind::output_end:
      return "}}";
    case TokenKind::block_end:
      return "%}";
    case TokenKind::string:
      return fmt::format("the string '{}'", token.text);
    case TokenKind::end:
      return "the end of the template";
    default:
      return token.text;
  }
}

class StatementParser {
 public:
  explicit StatementParser(std::string_view source)
      : tokens_(tokens_of(source)), expressions_(tokens_) {}

  Block run() {
    Block block = body_until({});
    if (!tokens_.is(TokenKind::end)) tokens_.unexpected("a statement");
    return block;
  }

 private:
  using Names = std::initializer_list<std::string_view>;

  // Everything before one of the tags, whose {% and name are taken; the name is then ended_by_.
  Block body_until(Names tags);
  Statement statement();
  Statement loop(int line);
  Statement choice(int line);
  Statement set(int line);
  Statement macro(int line);
  std::vector<std::string> targets();

  TokenStream tokens_;
  ExpressionParser expressions_;
  std::string ended_by_;
  int depth_ = 0;
  int loops_ = 0;
};

Block StatementParser::body_until(Names tags) {
  if (++depth_ > kMaxDepth) fail_at(tokens_.line(), "statements nest too deeply");
  Block block;
  while (!tokens_.is(TokenKind::end)) {
    const Token token = tokens_.take();
    if (token.kind == TokenKind::text) {
      block.push_back(
          {.kind = StatementKind::text, .line = token.line, .value = Value::text(token.text)});
    } else if (token.kind == TokenKind::output_begin) {
      block.push_back(
          {.kind = StatementKind::output, .line = token.line, .expression = expressions_.tuple()});
      if (!tokens_.is(TokenKind::output_end)) tokens_.unexpected("}}");
      tokens_.take();
    } else {
      const bool ends = tokens_.is(TokenKind::name) &&
                        std::find(tags.begin(), tags.end(), tokens_.peek().text) != tags.end();
      if (ends) {
        ended_by_ = tokens_.take().text;
        --depth_;
        return block;
      }
      block.push_back(statement());
    }
  }
  if (tags.size() > 0) tokens_.unexpected(fmt::format("{{% {} %}}", *(tags.end() - 1)));
  --depth_;
  return block;
}

Statement StatementParser::statement() {
  const int line = tokens_.line();
  if (!tokens_.is(TokenKind::name)) tokens_.unexpected("the name of a statement");
  const std::string name = tokens_.take().text;
  if (name == "for") return loop(line);
  if (name == "if") return choice(line);
  if (name == "set") return set(line);
  if (name == "macro") return macro(line);
  if (name == "generation") {
    tokens_.want_block_end();
    Statement out{.kind = StatementKind::group, .line = line};
    out.body = body_until({"endgeneration"});
    tokens_.want_block_end();
    return out;
  }
  if (name == "break" || name == "continue") {
    if (loops_ == 0) fail_at(line, fmt::format("{{% {} %}} outside of a loop", name));
    tokens_.want_block_end();
    return {.kind = name == "break" ? StatementKind::stop : StatementKind::next, .line = line};
  }
  fail_at(line,
          fmt::format("the statement {{% {} %}} is not supported here (known: for, if, set, macro, "
                      "generation, break, continue)",
                      name));
}

std::vector<std::string> StatementParser::targets() {
  const bool bracket = tokens_.skip_sign("(");
  std::vector<std::string> names;
  do {
    names.push_back(tokens_.want_identifier("a variable's name"));
  } while (tokens_.skip_sign(",") && !tokens_.is_name("in"));
  if (bracket) tokens_.want_sign(")");
  return names;
}

Statement StatementParser::loop(int line) {
  Statement out{.kind = StatementKind::loop, .line = line};
  out.targets = targets();
  tokens_.want_name("in");
  out.expression = expressions_.tuple(false);
  if (tokens_.skip_name("if")) out.filter = expressions_.expression();
  if (tokens_.is_name("recursive")) fail_at(line, "recursive loops are not supported");
  tokens_.want_block_end();
  ++loops_;
  out.body = body_until({"else", "endfor"});
  --loops_;
  tokens_.want_block_end();
  if (ended_by_ == "else") {
    out.otherwise = body_until({"endfor"});
    tokens_.want_block_end();
  }
  return out;
}

Statement StatementParser::choice(int line) {
  Statement out{.kind = StatementKind::choice, .line = line};
  do {
    Branch branch;
    if (ended_by_ != "else" || out.branches.empty()) branch.condition = expressions_.tuple(true);
    tokens_.want_block_end();
    branch.body = branch.condition ? body_until({"elif", "else", "endif"}) : body_until({"endif"});
    out.branches.push_back(std::move(branch));
  } while (ended_by_ != "endif");
  tokens_.want_block_end();
  return out;
}

Statement StatementParser::set(int line) {
  Statement out{.kind = StatementKind::set, .line = line};
  out.targets = targets();
  if (out.targets.size() == 1 && tokens_.skip_sign(".")) {
    out.attribute = tokens_.want_identifier("the name of an attribute");
  }
  if (tokens_.skip_sign("=")) {
    out.expression = expressions_.tuple();
    tokens_.want_block_end();
    return out;
  }
  if (out.targets.size() != 1) tokens_.unexpected("=");
  out.kind = StatementKind::set_block;
  // The filters get a name that no template can write.
  out.expression = expressions_.filters(make_expression(ExpressionKind::name, line, " body"));
  tokens_.want_block_end();
  out.body = body_until({"endset"});
  tokens_.want_block_end();
  return out;
}

Statement StatementParser::macro(int line) {
  Statement out{.kind = StatementKind::macro, .line = line};
  out.name = tokens_.want_identifier("a macro's name");
  tokens_.want_sign("(");
  while (!tokens_.is_sign(")")) {
    Parameter parameter{tokens_.want_identifier("a parameter's name"), nullptr};
    if (tokens_.skip_sign("=")) parameter.standard = expressions_.expression();
    out.parameters.push_back(std::move(parameter));
    if (!tokens_.skip_sign(",")) break;
  }
  tokens_.want_sign(")");
  tokens_.want_block_end();
  const int loops = std::exchange(loops_, 0);
  out.body = body_until({"endmacro"});
  loops_ = loops;
  if (tokens_.is_name(out.name)) tokens_.take();
  tokens_.want_block_end();
  return out;
}

}  // namespace

Token TokenStream::take() {
  Token token = peek();
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool TokenStream::skip_sign(std::string_view sign) {
  const bool found = is_sign(sign);
  if (found) take();
  return found;
}

bool TokenStream::skip_name(std::string_view name) {
  const bool found = is_name(name);
  if (found) take();
  return found;
}

void TokenStream::want_sign(std::string_view sign) {
  if (!skip_sign(sign)) unexpected(sign);
}

void TokenStream::want_name(std::string_view name) {
  if (!skip_name(name)) unexpected(name);
}

std::string TokenStream::want_identifier(std::string_view what) {
  constexpr std::array<std::string_view, 7> kWords = {"and", "or", "not", "in", "is", "if", "else"};
  if (!is(TokenKind::name) ||
      std::find(kWords.begin(), kWords.end(), peek().text) != kWords.end()) {
    unexpected(what);
  }
  return take().text;
}

void TokenStream::want_block_end() {
  if (!is(TokenKind::block_end)) unexpected("%}");
  take();
}

void TokenStream::unexpected(std::string_view wanted) const {
  fail_at(line(), fmt::format("wanted {}, found {}", wanted, shown(peek())));
}

Block parse_template(std::string_view source) {
  return StatementParser(source).run();
}

}  // namespace tutti::jinja
