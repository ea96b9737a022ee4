// What the expressions of a chat template become: Python's operators on values.
#include <fmt/format.h>

#include <cmath>

#include "runtime/text/jinja_interpreter.hpp"
#include "runtime/text/jinja_lexer.hpp"

namespace tutti::jinja {
namespace {

// `value` is what the checked operation writes: a reference, since it is evaluated in any order.
std::int64_t checked(bool overflows, const std::int64_t& value) {
  if (overflows) throw Problem("the number is too large");
  return value;
}

// Python's // and %, which round towards minus infinity.
std::int64_t floor_quotient(std::int64_t a, std::int64_t b) {
  if (b == 0) throw Problem("division by zero");
  if (b == -1) {
    std::int64_t out = 0;
    return checked(__builtin_sub_overflow(std::int64_t{0}, a, &out), out);
  }
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

std::int64_t floor_rest(std::int64_t a, std::int64_t b) {
  if (b == 0) throw Problem("division by zero");
  if (b == -1) return 0;
  const std::int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

Value power(const Value& base, const Value& exponent) {
  if (base.is_float() || exponent.is_float() || exponent.integer() < 0) {
    return std::pow(base.number(), exponent.number());
  }
  const double estimate = std::pow(base.number(), exponent.number());
  if (std::abs(estimate) > 9e18) throw Problem("the number is too large");
  std::int64_t out = 1;
  const std::int64_t times =
      std::abs(base.integer()) > 1 ? exponent.integer() : exponent.integer() % 2 + 2;
  if (exponent.integer() == 0) return out;
  for (std::int64_t i = 0; i < times; ++i) {
    out = checked(__builtin_mul_overflow(out, base.integer(), &out), out);
  }
  return out;
}

Value negated(const Value& value) {
  if (value.is_float()) return -value.number();
  std::int64_t out = 0;
  return checked(__builtin_sub_overflow(std::int64_t{0}, value.integer(), &out), out);
}

}  // namespace

Value Interpreter::evaluate(const Expression& expression) {
  try {
    const Deeper guard(depth_);
    context_.budget.spend(1);
    return evaluate_kind(expression);
  } catch (const Problem& problem) {
    fail_at(expression.line, problem.what());
  }
}

Value Interpreter::child(const Expression& expression, std::size_t index) {
  const ExpressionPtr& part = expression.children[index];
  return part == nullptr ? Value() : evaluate(*part);
}

Value Interpreter::evaluate_kind(const Expression& expression) {
  switch (expression.kind) {
    case ExpressionKind::literal:
      return expression.value;
    case ExpressionKind::name: {
      const Value* found = find(expression.name);
      return found == nullptr ? Value::undefined(expression.name) : *found;
    }
    case ExpressionKind::list: {
      List items;
      for (std::size_t i = 0; i < expression.children.size(); ++i)
        items.push_back(child(expression, i));
      return Value::list(std::move(items));
    }
    case ExpressionKind::dict:
      return dict(expression);
    case ExpressionKind::attribute:
      return attribute(child(expression, 0), expression.name);
    case ExpressionKind::subscript: {
      const Value value = child(expression, 0);
      const Value key = child(expression, 1);
      context_.budget.spend(1 + (value.as_text() != nullptr ? 8 * value.weight() : 0));
      Value found = item_of(value, key);
      const bool named = found.is_undefined() && key.as_text() != nullptr;
      return named ? attribute(value, key.as_text()->bytes()) : found;
    }
    case ExpressionKind::slice:
      return slice_of(context_, child(expression, 0), child(expression, 1), child(expression, 2),
                      child(expression, 3));
    case ExpressionKind::call:
    case ExpressionKind::filter:
    case ExpressionKind::test:
      return call(expression);
    case ExpressionKind::minus:
      return negated(child(expression, 0));
    case ExpressionKind::plus: {
      Value value = child(expression, 0);
      return value.is_float() ? value : Value(value.integer());
    }
    case ExpressionKind::arithmetic:
      return arithmetic(expression);
    case ExpressionKind::comparison:
      return comparison(expression);
    default:
      return logic(expression);
  }
}

Value Interpreter::logic(const Expression& expression) {
  Value first = child(expression, 0);
  switch (expression.kind) {
    case ExpressionKind::negation:
      return !first.truthy();
    case ExpressionKind::both:
      return first.truthy() ? child(expression, 1) : first;
    case ExpressionKind::either:
      return first.truthy() ? first : child(expression, 1);
    default:  // conditional
      if (first.truthy()) return child(expression, 1);
      return expression.children[2] == nullptr ? Value::undefined("the value without else")
                                               : child(expression, 2);
  }
}

Value Interpreter::comparison(const Expression& expression) {
  Value left = child(expression, 0);
  for (std::size_t i = 0; i < expression.operators.size(); ++i) {
    const std::string& sign = expression.operators[i];
    Value right = child(expression, i + 1);
    context_.budget.spend(left.weight() + right.weight());
    bool holds = false;
    if (sign == "==") holds = equal(left, right);
    if (sign == "!=") holds = !equal(left, right);
    if (sign == "<") holds = less(left, right);
    if (sign == ">") holds = less(right, left);
    if (sign == "<=") holds = !less(right, left);
    if (sign == ">=") holds = !less(left, right);
    if (sign == "in" || sign == "not in") {
      holds = find_test("in")(context_, left, {{right}, {}}) == (sign == "in");
    }
    if (!holds) return false;
    left = std::move(right);
  }
  return true;
}

Value Interpreter::arithmetic(const Expression& expression) {
  const Value left = child(expression, 0);
  const Value right = child(expression, 1);
  const std::string& sign = expression.name;
  if (sign == "~") {
    Text text = printed(left, context_.budget);
    text.append(printed(right, context_.budget));
    return text;
  }
  if (sign == "+") return sum(left, right);
  if (sign == "*") return product(left, right);
  if (sign == "**") return power(left, right);
  if (left.as_text() != nullptr && sign == "%") {
    throw Problem("formatting a string by % is not supported");
  }
  const bool floats = left.is_float() || right.is_float();
  if (sign == "-") {
    if (floats) return left.number() - right.number();
    std::int64_t out = 0;
    return checked(__builtin_sub_overflow(left.integer(), right.integer(), &out), out);
  }
  if (right.number() == 0) throw Problem("division by zero");
  if (sign == "/") return left.number() / right.number();
  if (!floats) {
    return sign == "//" ? floor_quotient(left.integer(), right.integer())
                        : floor_rest(left.integer(), right.integer());
  }
  const double quotient = std::floor(left.number() / right.number());
  return sign == "//" ? quotient : left.number() - quotient * right.number();
}

Value Interpreter::sum(const Value& left, const Value& right) {
  context_.budget.spend(left.weight() + right.weight());
  if (left.is_number() && right.is_number()) {
    if (left.is_float() || right.is_float()) return left.number() + right.number();
    std::int64_t out = 0;
    return checked(__builtin_add_overflow(left.integer(), right.integer(), &out), out);
  }
  if (left.as_text() != nullptr && right.as_text() != nullptr) {
    Text text = *left.as_text();
    text.append(*right.as_text());
    return text;
  }
  if (left.as_list() != nullptr && right.as_list() != nullptr) {
    List items = items_of(left, context_.budget);
    const List more = items_of(right, context_.budget);
    items.insert(items.end(), more.begin(), more.end());
    return Value::list(std::move(items));
  }
  throw Problem(fmt::format("{} and {} cannot be added", left.type_name(), right.type_name()));
}

Value Interpreter::product(const Value& left, const Value& right) {
  if (left.as_text() != nullptr) return repeated(context_, *left.as_text(), right.integer());
  if (right.as_text() != nullptr) return repeated(context_, *right.as_text(), left.integer());
  if (left.is_float() || right.is_float()) return left.number() * right.number();
  std::int64_t out = 0;
  return checked(__builtin_mul_overflow(left.integer(), right.integer(), &out), out);
}

// Methods come before the items of a dict, as in Python.
Value Interpreter::attribute(const Value& value, const std::string& name) {
  if (const auto* space = value.as_namespace()) {
    const Value* found = space->find(name);
    return found == nullptr ? Value::undefined(name) : *found;
  }
  context_.budget.spend(value.as_dict() == nullptr ? value.weight()
                                                   : 1 + value.as_dict()->entries.size() / 8);
  if (auto method = bound_method(context_, value, name)) return *method;
  return item_of(value, Value::text(name));
}

Value Interpreter::dict(const Expression& expression) {
  Entries entries;
  for (std::size_t i = 0; i + 1 < expression.children.size(); i += 2) {
    const Value key = child(expression, i);
    const auto same = [&](const auto& entry) {
      return entry.first.bytes() == key.as_text()->bytes();
    };
    context_.budget.spend(1 + entries.size() / 8);
    if (key.as_text() == nullptr)
      throw Problem("a dict wants strings as keys, found " + key.type_name());
    if (std::any_of(entries.begin(), entries.end(), same)) throw Problem("a dict has a key twice");
    entries.emplace_back(*key.as_text(), child(expression, i + 1));
  }
  return Value::dict(std::move(entries));
}

Arguments Interpreter::arguments(const Expression& expression) {
  Arguments out;
  for (std::size_t i = 1; i < expression.children.size(); ++i) {
    out.positional.push_back(child(expression, i));
    context_.budget.spend(out.positional.back().weight());
  }
  for (const auto& [name, value] : expression.named) {
    out.named.emplace_back(name, evaluate(*value));
    context_.budget.spend(out.named.back().second.weight());
  }
  return out;
}

Value Interpreter::call(const Expression& expression) {
  const Value first = child(expression, 0);
  const Arguments given = arguments(expression);
  Value result;
  if (expression.kind == ExpressionKind::call) {
    const Callable* function = first.as_callable();
    if (function == nullptr) {
      const std::string name = expression.children[0]->name;
      throw Problem(fmt::format("'{}' is no function or method that is supported ({})", name,
                                first.type_name()));
    }
    result = function->call(given);
  } else {
    context_.budget.spend(2 * first.weight());
    if (expression.kind == ExpressionKind::test) {
      return find_test(expression.name)(context_, first, given);
    }
    result = find_filter(expression.name)(context_, first, given);
  }
  context_.budget.spend(result.weight());
  return result;
}

}  // namespace tutti::jinja
