// A parsed chat template.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/text/jinja_value.hpp"

namespace tutti::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

enum class ExpressionKind : std::uint8_t {
  literal,      // value
  name,         // name
  list,         // children
  dict,         // children: key, value, key, value, …
  attribute,    // child 0 . name
  subscript,    // child 0 [ child 1 ]
  slice,        // child 0 [ child 1 : child 2 : child 3 ], null where left out
  call,         // child 0 ( children 1… , named )
  filter,       // child 0 | name ( children 1… , named )
  test,         // child 0 is name ( children 1… )
  negation,     // not child 0
  minus,        // - child 0
  plus,         // + child 0
  arithmetic,   // child 0, name, child 1
  comparison,   // child 0, operators 0, child 1, operators 1, child 2, …
  both,         // child 0 and child 1
  either,       // child 0 or child 1
  conditional,  // child 1 if child 0 else child 2 (may be null)
};

struct Expression {
  ExpressionKind kind;
  int line;
  std::string name;
  Value value;
  std::vector<ExpressionPtr> children;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  std::vector<std::string> operators;
  int depth = 1;
};

struct Statement;
using Block = std::vector<Statement>;

struct Branch {
  ExpressionPtr condition;  // null: always
  Block body;
};

struct Parameter {
  std::string name;
  ExpressionPtr standard;  // null: undefined where it is not given
};

enum class StatementKind : std::uint8_t {
  text,       // value
  output,     // expression
  choice,     // branches, the first that holds
  loop,       // targets in expression if filter: body, else otherwise
  set,        // targets = expression, or targets[0].attribute = expression
  set_block,  // targets[0] = what body writes, through the filters around `expression`
  macro,      // name(parameters): body
  group,      // body ({% generation %})
  stop,       // break
  next,       // continue
};

struct Statement {
  StatementKind kind;
  int line;
  Value value;
  std::string name;
  ExpressionPtr expression, filter;
  std::vector<std::string> targets;
  std::string attribute;
  std::vector<Branch> branches;
  std::vector<Parameter> parameters;
  Block body, otherwise;
};

// Errors: ModelFileError with the line and what is not understood there.
Block parse_template(std::string_view source);

}  // namespace tutti::jinja
