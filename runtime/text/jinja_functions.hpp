// The filters, tests and methods that a chat template may use.
#pragma once

#include <ctime>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/text/jinja_value.hpp"

namespace tutti::jinja {

// The local time that strftime_now writes.
using Clock = std::function<std::tm()>;

struct Context {
  Budget budget;
  Clock now;
};

// All report what they cannot do as a Problem.
using Filter = Value (*)(Context&, const Value&, const Arguments&);
using Test = bool (*)(Context&, const Value&, const Arguments&);
// Null where the name is not known.
Filter find_filter(std::string_view name);
Filter find_list_filter(std::string_view name);
Filter find_text_filter(std::string_view name);
Test find_test(std::string_view name);

// The method of a string, list or dict, bound to it; nothing where it has none of that name.
// `context` outlives the answer.
std::optional<Value> bound_method(Context& context, const Value& self, std::string_view name);

// What `value[key]` finds; undefined where there is nothing. Errors: Problem where `value` has no
// items at all.
Value item_of(const Value& value, const Value& key);
// `value.a.b` of data, as map(attribute=…) and its like look it up.
Value attribute_path(const Value& value, std::string_view path);
// `value[begin:end:step]`, each none where it is left out.
Value slice_of(Context& context, const Value& value, const Value& begin, const Value& end,
               const Value& step);

// json.dumps(value, ensure_ascii=False, indent=indent); a negative indent: all on one line.
Text json_text(Context& context, const Value& value, std::int64_t indent);
Text joined(Context& context, const Value& list, const Text& separator);
Text replaced(Context& context, const Text& text, std::string_view from, const Text& to,
              std::int64_t count);
// `text` n times.
Text repeated(Context& context, const Text& text, std::int64_t count);

}  // namespace tutti::jinja
