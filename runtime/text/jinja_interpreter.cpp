#include "runtime/text/jinja_interpreter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "kernels/error.hpp"
#include "runtime/text/jinja_lexer.hpp"
#include "runtime/text/jinja_template.hpp"

namespace tutti::jinja {
namespace {

constexpr std::uint64_t kFreeUnits = 5'000'000;  // a long conversation takes some 100,000
constexpr std::uint64_t kUnitsPerInput = 256;

Value range(Context& context, const Arguments& arguments) {
  arguments.allow({"start", "stop", "step"});
  const auto& given = arguments.positional;
  if (given.empty()) throw Problem("range wants a number");
  const std::int64_t begin = given.size() > 1 ? given[0].integer() : 0;
  const std::int64_t end = given[given.size() > 1 ? 1 : 0].integer();
  const std::int64_t step = given.size() > 2 ? given[2].integer() : 1;
  if (step == 0) throw Problem("the step of range is zero");
  List items;
  for (std::int64_t i = begin; step > 0 ? i < end : i > end;) {
    context.budget.spend(8);
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return Value::list(std::move(items));
}

Value dict_of(const Arguments& arguments, bool is_namespace) {
  if (arguments.positional.size() > (arguments.named.empty() ? 1u : 0u)) {
    throw Problem("dict and namespace want named arguments, or one dict");
  }
  Entries entries;
  if (!arguments.positional.empty()) {
    const auto* given = arguments.positional[0].as_dict();
    if (given == nullptr) throw Problem("dict and namespace want named arguments, or one dict");
    entries = given->entries;
  }
  for (const auto& [name, value] : arguments.named) entries.emplace_back(Text(name), value);
  // Building the dict checks that it is plain data.
  Value dict = Value::dict(entries);
  return is_namespace ? Value::namespace_of(std::move(entries)) : dict;
}

Value time_text(const Context& context, const Arguments& arguments) {
  const Value* format = arguments.find(0, "format");
  if (format == nullptr) throw Problem("strftime_now wants a format");
  const std::string& form = format->string("strftime_now").bytes();
  if (form.empty()) return Value::text("");
  if (form.size() > 200) throw Problem("the format of strftime_now is too long");
  const std::tm time = context.now();
  std::string out(4096, '\0');
  out.resize(std::strftime(out.data(), out.size(), form.c_str(), &time));
  return Value::text(out);
}

Value loop_state(const List& items, std::size_t at) {
  const auto number = [](std::size_t value) { return Value(static_cast<std::int64_t>(value)); };
  Entries entries;
  const auto add = [&](const char* name, Value value) {
    entries.emplace_back(Text(std::string(name)), std::move(value));
  };
  const std::size_t size = items.size();
  add("index", number(at + 1));
  add("index0", number(at));
  add("first", at == 0);
  add("last", at + 1 == size);
  add("length", number(size));
  add("revindex", number(size - at));
  add("revindex0", number(size - at - 1));
  add("previtem", at == 0 ? Value::undefined("loop.previtem") : items[at - 1]);
  add("nextitem", at + 1 == size ? Value::undefined("loop.nextitem") : items[at + 1]);
  add("cycle", Callable{"cycle", [at](const Arguments& arguments) {
                          if (arguments.positional.empty()) throw Problem("cycle wants values");
                          return arguments.positional[at % arguments.positional.size()];
                        }});
  return Value::namespace_of(std::move(entries));
}

}  // namespace

void Interpreter::add_functions() {
  Context& context = context_;
  const auto add = [&](const char* name, std::function<Value(const Arguments&)> call) {
    set_global(name, Callable{name, std::move(call)});
  };
  add("range", [&context](const Arguments& arguments) { return range(context, arguments); });
  add("dict", [](const Arguments& arguments) { return dict_of(arguments, false); });
  add("namespace", [](const Arguments& arguments) { return dict_of(arguments, true); });
  add("strftime_now",
      [&context](const Arguments& arguments) { return time_text(context, arguments); });
  add("raise_exception", [&context](const Arguments& arguments) -> Value {
    const Value* why = arguments.find(0, "message");
    throw ConfigError(fmt::format("the model's chat template refuses the conversation: {}",
                                  why == nullptr ? "" : printed(*why, context.budget).bytes()));
  });
}

Text Interpreter::run(const Block& block) {
  return written_by(block);
}

// What a block writes, by itself.
Text Interpreter::written_by(const Block& block) {
  Text written;
  Text* before = std::exchange(out_, &written);
  run_block(block);
  out_ = before;
  return written;
}

Interpreter::Flow Interpreter::run_block(const Block& block) {
  for (const Statement& statement : block) {
    const Flow flow = run_statement(statement);
    if (flow != Flow::on) return flow;
  }
  return Flow::on;
}

Interpreter::Flow Interpreter::run_statement(const Statement& statement) {
  try {
    const Deeper guard(depth_);
    context_.budget.spend(1);
    switch (statement.kind) {
      case StatementKind::text:
        context_.budget.spend(statement.value.weight());
        out_->append(*statement.value.as_text());
        return Flow::on;
      case StatementKind::output: {
        const Value value = evaluate(*statement.expression);
        out_->append(printed(value, context_.budget));
        return Flow::on;
      }
      case StatementKind::choice:
        return run_choice(statement);
      case StatementKind::loop:
        return run_loop(statement);
      case StatementKind::set:
        run_set(statement, evaluate(*statement.expression));
        return Flow::on;
      case StatementKind::set_block: {
        Inner inner(*this, scope_);
        inner.scope.values[" body"] = written_by(statement.body);
        const Value value = evaluate(*statement.expression);
        scope_ = inner.scope.outer;
        run_set(statement, value);
        return Flow::on;
      }
      case StatementKind::macro:
        scope_->values[statement.name] = macro_of(statement);
        return Flow::on;
      case StatementKind::group:
        return run_block(statement.body);
      case StatementKind::stop:
        return Flow::stop;
      case StatementKind::next:
        return Flow::next;
    }
  } catch (const Problem& problem) {
    fail_at(statement.line, problem.what());
  }
  return Flow::on;
}

Interpreter::Flow Interpreter::run_choice(const Statement& statement) {
  for (const Branch& branch : statement.branches) {
    if (branch.condition == nullptr || evaluate(*branch.condition).truthy()) {
      return run_block(branch.body);
    }
  }
  return Flow::on;
}

Interpreter::Flow Interpreter::run_loop(const Statement& statement) {
  List items = items_of(evaluate(*statement.expression), context_.budget);
  if (statement.filter != nullptr) {
    List kept;
    for (Value& item : items) {
      Inner inner(*this, scope_);
      assign(statement.targets, item, inner.scope);
      if (evaluate(*statement.filter).truthy()) kept.push_back(std::move(item));
    }
    items = std::move(kept);
  }
  if (items.empty()) {
    Inner inner(*this, scope_);
    return run_block(statement.otherwise);
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    context_.budget.spend(16);
    Inner inner(*this, scope_);
    inner.scope.values["loop"] = loop_state(items, i);
    assign(statement.targets, items[i], inner.scope);
    if (run_block(statement.body) == Flow::stop) break;
  }
  return Flow::on;
}

void Interpreter::run_set(const Statement& statement, Value value) {
  if (statement.attribute.empty()) return assign(statement.targets, value, *scope_);
  const Value* found = find(statement.targets.front());
  auto* space = found == nullptr ? nullptr : found->as_namespace();
  if (space == nullptr) {
    throw Problem(fmt::format("'{}' is not a namespace, whose attributes alone can be set",
                              statement.targets.front()));
  }
  space->set(statement.attribute, std::move(value));
}

void Interpreter::assign(const std::vector<std::string>& targets, const Value& value,
                         Scope& scope) {
  if (targets.size() == 1) {
    scope.values[targets.front()] = value;
    return;
  }
  const List items = items_of(value, context_.budget);
  if (items.size() != targets.size()) {
    throw Problem(
        fmt::format("wanted {} values to unpack, found {}", targets.size(), items.size()));
  }
  for (std::size_t i = 0; i < items.size(); ++i) scope.values[targets[i]] = items[i];
}

const Value* Interpreter::find(std::string_view name) const {
  for (const Scope* scope = scope_; scope != nullptr; scope = scope->outer) {
    const auto found = scope->values.find(name);
    if (found != scope->values.end()) return &found->second;
  }
  return nullptr;
}

Value Interpreter::macro_of(const Statement& statement) {
  return Callable{statement.name, [this, &statement](const Arguments& arguments) {
                    return call_macro(statement, arguments);
                  }};
}

// A macro sees its parameters and what stands at the top of the template.
Value Interpreter::call_macro(const Statement& statement, const Arguments& arguments) {
  Inner inner(*this, &globals_);
  if (arguments.positional.size() > statement.parameters.size()) {
    throw Problem(fmt::format("the macro '{}' takes {} arguments, found {}", statement.name,
                              statement.parameters.size(), arguments.positional.size()));
  }
  for (const auto& [name, unused] : arguments.named) {
    const bool known =
        std::any_of(statement.parameters.begin(), statement.parameters.end(),
                    [&name = name](const Parameter& each) { return each.name == name; });
    if (!known) throw Problem(fmt::format("the macro '{}' has no '{}'", statement.name, name));
  }
  for (std::size_t i = 0; i < statement.parameters.size(); ++i) {
    const Parameter& parameter = statement.parameters[i];
    const Value* given = arguments.find(i, parameter.name);
    inner.scope.values[parameter.name] = given != nullptr ? *given
                                         : parameter.standard != nullptr
                                             ? evaluate(*parameter.standard)
                                             : Value::undefined(parameter.name);
  }
  return written_by(statement.body);
}

Template::Template(std::string_view source)
    : block_(std::make_shared<const Block>(parse_template(source))) {}

Text Template::render(const Variables& variables, const Clock& now) const {
  std::uint64_t weight = 0;
  for (const auto& [unused, value] : variables) weight += value.weight();
  Context context{Budget(kFreeUnits + kUnitsPerInput * weight), now};
  Interpreter interpreter(context);
  for (const auto& [name, value] : variables) interpreter.set_global(name, value);
  return interpreter.run(*block_);
}

}  // namespace tutti::jinja
