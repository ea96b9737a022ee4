// Carries out a parsed chat template: statements write, expressions become values.
#pragma once

#include <map>
#include <string>

#include "runtime/text/jinja_functions.hpp"
#include "runtime/text/jinja_tree.hpp"

namespace tutti::jinja {

class Interpreter {
 public:
  // `context` and the blocks that are run outlive it.
  explicit Interpreter(Context& context) : context_(context) { add_functions(); }

  void set_global(const std::string& name, Value value) {
    globals_.values[name] = std::move(value);
  }
  Text run(const Block& block);

 private:
  struct Scope {
    Scope* outer = nullptr;
    std::map<std::string, Value, std::less<>> values;
  };
  enum class Flow : std::uint8_t { on, stop, next };  // after a statement: go on, break, continue

  // Counts what stands on the stack. Errors: Problem where it is too much.
  class Deeper {
   public:
    explicit Deeper(int& depth) : depth_(depth) {
      if (depth_ >= kMaxDepth) throw Problem("macros call each other too deeply");
      ++depth_;
    }
    ~Deeper() { --depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;

   private:
    static constexpr int kMaxDepth = 1000;
    int& depth_;
  };

  // Replaces the innermost scope while it lives.
  class Inner {
   public:
    Inner(Interpreter& interpreter, Scope* outer)
        : interpreter_(interpreter), before_(interpreter.scope_) {
      scope.outer = outer;
      interpreter_.scope_ = &scope;
    }
    ~Inner() { interpreter_.scope_ = before_; }
    Inner(const Inner&) = delete;
    Inner& operator=(const Inner&) = delete;
    Scope scope;

   private:
    Interpreter& interpreter_;
    Scope* before_;
  };

  // Statements (jinja_interpreter.cpp).
  void add_functions();
  Flow run_block(const Block& block);
  Flow run_statement(const Statement& statement);
  Flow run_choice(const Statement& statement);
  Flow run_loop(const Statement& statement);
  void run_set(const Statement& statement, Value value);
  Text written_by(const Block& block);
  Value macro_of(const Statement& statement);
  Value call_macro(const Statement& statement, const Arguments& arguments);
  void assign(const std::vector<std::string>& targets, const Value& value, Scope& scope);
  const Value* find(std::string_view name) const;

  // Expressions (jinja_evaluation.cpp).
  Value evaluate(const Expression& expression);
  Value evaluate_kind(const Expression& expression);
  Value child(const Expression& expression, std::size_t index);
  Value logic(const Expression& expression);
  Value comparison(const Expression& expression);
  Value arithmetic(const Expression& expression);
  Value sum(const Value& left, const Value& right);
  Value product(const Value& left, const Value& right);
  Value attribute(const Value& value, const std::string& name);
  Value dict(const Expression& expression);
  Arguments arguments(const Expression& expression);
  Value call(const Expression& expression);

  Context& context_;
  Scope globals_;
  Scope* scope_ = &globals_;
  Text* out_ = nullptr;
  int depth_ = 0;
};

}  // namespace tutti::jinja
