// What a chat template computes with: Python's none, bools, numbers, strings, lists and dicts, as
// far as templates use them. Values are immutable and cheap to copy; only namespaces change.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/text/jinja_text.hpp"

namespace tutti::jinja {

// What a template asks for and cannot have; the interpreter adds the template's line.
struct Problem : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Bounds the time and the memory that a template takes: each step and each few bytes made cost.
class Budget {
 public:
  explicit Budget(std::uint64_t units) : left_(units) {}
  // Errors: Problem where nothing is left.
  void spend(std::uint64_t units);

 private:
  std::uint64_t left_;
};

class Value;
using List = std::vector<Value>;
using Entries = std::vector<std::pair<Text, Value>>;  // of a dict, in their order

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  // The argument at a place or of a name, null where it is not given.
  const Value* find(std::size_t place, std::string_view name) const;
  // Errors: Problem where more are given, or others than these names in this order.
  void allow(std::initializer_list<std::string_view> names) const;
};

struct Callable {
  std::string name;
  std::function<Value(const Arguments&)> call;
};

class Value {
 public:
  struct Undefined {
    std::string name;  // of what is not there
  };
  struct Sequence {
    List items;
    std::uint64_t weight;  // of all that is inside, for the budget
    int depth;
  };
  struct Mapping {
    Entries entries;
    std::uint64_t weight;
    int depth;
    const Value* find(std::string_view key) const;
  };
  struct Namespace {
    Entries entries;
    const Value* find(std::string_view key) const;
    void set(std::string_view key, Value value);
  };

  Value() : data_(nullptr) {}  // none
  Value(bool value) : data_(value) {}
  Value(std::int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(Text text) : data_(std::make_shared<const Text>(std::move(text))) {}
  Value(Callable callable) : data_(std::make_shared<const Callable>(std::move(callable))) {}
  static Value undefined(std::string name);
  static Value text(std::string_view model_text) { return Text(std::string(model_text)); }
  // Errors of both: Problem where they nest too deeply or hold what is no plain data.
  static Value list(List items);
  static Value dict(Entries entries);  // no key twice
  static Value namespace_of(Entries entries);

  bool is_undefined() const { return std::holds_alternative<std::shared_ptr<Undefined>>(data_); }
  bool is_none() const { return std::holds_alternative<std::nullptr_t>(data_); }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }
  bool is_integer() const { return std::holds_alternative<std::int64_t>(data_); }
  bool is_float() const { return std::holds_alternative<double>(data_); }
  bool is_number() const { return is_bool() || is_integer() || is_float(); }
  // Null where it is of another type.
  const Text* as_text() const { return pointer<const Text>(); }
  const Sequence* as_list() const { return pointer<const Sequence>(); }
  const Mapping* as_dict() const { return pointer<const Mapping>(); }
  const Callable* as_callable() const { return pointer<const Callable>(); }
  Namespace* as_namespace() const { return pointer<Namespace>(); }

  bool truthy() const;
  // Errors: Problem where it is no whole number (a bool counts as 0 or 1) or no number.
  std::int64_t integer() const;
  double number() const;
  // Errors: Problem that says what `who` wanted.
  const Text& string(std::string_view who) const;
  // "string", "list", …: for messages.
  std::string type_name() const;
  // What to spend before looking at all of it.
  std::uint64_t weight() const;

 private:
  template <typename T>
  T* pointer() const {
    const auto* held = std::get_if<std::shared_ptr<T>>(&data_);
    return held == nullptr ? nullptr : held->get();
  }
  int depth() const;
  void require_data() const;

  std::variant<std::nullptr_t, bool, std::int64_t, double, std::shared_ptr<const Text>,
               std::shared_ptr<const Sequence>, std::shared_ptr<const Mapping>,
               std::shared_ptr<Namespace>, std::shared_ptr<const Callable>,
               std::shared_ptr<Undefined>>
      data_;
};

// Python's ==; numbers of all types compare by value, all that is undefined is equal.
bool equal(const Value& a, const Value& b);
// Python's <. Errors: Problem where the two cannot be ordered.
bool less(const Value& a, const Value& b);
// The items of a list, the keys of a dict, the characters of a string, nothing of what is
// undefined. Errors: Problem where there is nothing to iterate over.
List items_of(const Value& value, Budget& budget);
// What `{{ value }}` writes: Python's str().
Text printed(const Value& value, Budget& budget);

}  // namespace tutti::jinja
