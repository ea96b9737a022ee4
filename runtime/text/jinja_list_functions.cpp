// Filters and methods of lists and dicts.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "runtime/text/jinja_functions.hpp"

namespace tutti::jinja {
namespace {

using A = Arguments;
using C = Context;

Value length(Context&, const Value& value, const Arguments&) {
  if (const Text* text = value.as_text()) {
    return static_cast<std::int64_t>(character_count(text->bytes()));
  }
  if (const auto* list = value.as_list()) return static_cast<std::int64_t>(list->items.size());
  if (const auto* dict = value.as_dict()) return static_cast<std::int64_t>(dict->entries.size());
  if (value.is_undefined()) return std::int64_t{0};
  throw Problem("length wants a string, list or dict, found " + value.type_name());
}

Value standard(Context&, const Value& value, const Arguments& arguments) {
  arguments.allow({"default_value", "boolean"});
  const Value* fallback = arguments.find(0, "default_value");
  const Value* boolean = arguments.find(1, "boolean");
  const bool missing =
      value.is_undefined() || (boolean != nullptr && boolean->truthy() && !value.truthy());
  if (!missing) return value;
  return fallback == nullptr ? Value::text("") : *fallback;
}

Value join(Context& context, const Value& value, const Arguments& arguments) {
  arguments.allow({"d", "attribute"});
  const Value* separator = arguments.find(0, "d");
  const Value* attribute = arguments.find(1, "attribute");
  const Text none;
  const Text& between = separator == nullptr ? none : separator->string("join");
  if (attribute == nullptr) return joined(context, value, between);
  List parts;
  for (const Value& item : items_of(value, context.budget)) {
    parts.push_back(attribute_path(item, attribute->string("join").bytes()));
  }
  return joined(context, Value::list(std::move(parts)), between);
}

Value map(Context& context, const Value& value, const Arguments& arguments) {
  List out;
  const Value* attribute = arguments.positional.empty() ? arguments.find(0, "attribute") : nullptr;
  const Value* fallback = arguments.positional.empty() ? arguments.find(0, "default") : nullptr;
  if (attribute != nullptr) {
    for (const Value& item : items_of(value, context.budget)) {
      Value found = attribute_path(item, attribute->string("map").bytes());
      out.push_back(found.is_undefined() && fallback != nullptr ? *fallback : std::move(found));
    }
    return Value::list(std::move(out));
  }
  if (arguments.positional.empty()) throw Problem("map wants a filter's name or attribute=");
  const std::string& name = arguments.positional[0].string("map").bytes();
  const Filter filter = find_filter(name);
  if (filter == nullptr) throw Problem(fmt::format("the filter '{}' is not supported", name));
  Arguments rest = arguments;
  rest.positional.erase(rest.positional.begin());
  for (const Value& item : items_of(value, context.budget)) {
    context.budget.spend(4 + item.weight());
    out.push_back(filter(context, item, rest));
  }
  return Value::list(std::move(out));
}

// select, reject, selectattr, rejectattr: those items whose value (or attribute) passes a test.
Value choose(Context& context, const Value& value, const Arguments& arguments, bool by_attribute,
             bool wanted) {
  Arguments rest = arguments;
  std::string path;
  if (by_attribute) {
    if (rest.positional.empty()) throw Problem("selectattr wants the name of an attribute");
    path = rest.positional[0].string("selectattr").bytes();
    rest.positional.erase(rest.positional.begin());
  }
  Test test = nullptr;
  if (!rest.positional.empty()) {
    const std::string name = rest.positional[0].string("select").bytes();
    test = find_test(name);
    if (test == nullptr) throw Problem(fmt::format("the test '{}' is not supported", name));
    rest.positional.erase(rest.positional.begin());
  }
  List out;
  for (const Value& item : items_of(value, context.budget)) {
    const Value looked_at = by_attribute ? attribute_path(item, path) : item;
    context.budget.spend(4 + looked_at.weight());
    const bool passes = test == nullptr ? looked_at.truthy() : test(context, looked_at, rest);
    if (passes == wanted) out.push_back(item);
  }
  return Value::list(std::move(out));
}

Value first(Context& context, const Value& value, const Arguments&) {
  const List items = items_of(value, context.budget);
  return items.empty() ? Value::undefined("first item of nothing") : items.front();
}

Value last(Context& context, const Value& value, const Arguments&) {
  const List items = items_of(value, context.budget);
  return items.empty() ? Value::undefined("last item of nothing") : items.back();
}

Value as_list(Context& context, const Value& value, const Arguments&) {
  return Value::list(items_of(value, context.budget));
}

Value reverse(Context& context, const Value& value, const Arguments&) {
  List items = items_of(value, context.budget);
  std::reverse(items.begin(), items.end());
  if (value.as_text() != nullptr) return joined(context, Value::list(std::move(items)), Text());
  return Value::list(std::move(items));
}

Value pairs(Context& context, const Value& value, const Arguments&) {
  if (value.is_undefined()) return Value::list({});
  const auto* dict = value.as_dict();
  if (dict == nullptr) throw Problem("items wants a dict, found " + value.type_name());
  context.budget.spend(dict->weight);
  List out;
  for (const auto& [key, item] : dict->entries) out.push_back(Value::list({key, item}));
  return Value::list(std::move(out));
}

bool flag(const Arguments& arguments, std::size_t place, std::string_view name) {
  const Value* given = arguments.find(place, name);
  return given != nullptr && given->truthy();
}

// Without case_sensitive, strings are compared in lower case, as Jinja does.
Value sort_key(const Value& value, bool case_sensitive) {
  const Text* text = value.as_text();
  return text == nullptr || case_sensitive ? value : Value(lower(*text));
}

Value sorted(Context& context, const Value& value, const Arguments& arguments,
             const std::function<Value(const Value&)>& key, std::size_t flags_at) {
  List items = items_of(value, context.budget);
  const bool reversed = flag(arguments, flags_at, "reverse");
  const bool cases = flag(arguments, reversed ? 1 : flags_at + 1, "case_sensitive");
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& item : items) {
    keyed.emplace_back(sort_key(key(item), cases), item);
    context.budget.spend(32 + 16 * keyed.back().first.weight());
  }
  std::stable_sort(keyed.begin(), keyed.end(), [reversed](const auto& a, const auto& b) {
    return reversed ? less(b.first, a.first) : less(a.first, b.first);
  });
  for (std::size_t i = 0; i < items.size(); ++i) items[i] = keyed[i].second;
  return Value::list(std::move(items));
}

Value sort(Context& context, const Value& value, const Arguments& arguments) {
  arguments.allow({"reverse", "case_sensitive", "attribute"});
  const Value* attribute = arguments.find(2, "attribute");
  const auto key = [attribute](const Value& item) {
    return attribute == nullptr ? item : attribute_path(item, attribute->string("sort").bytes());
  };
  return sorted(context, value, arguments, key, 0);
}

Value dict_sort(Context& context, const Value& value, const Arguments& arguments) {
  arguments.allow({"case_sensitive", "by", "reverse"});
  const Value* by = arguments.find(1, "by");
  const std::int64_t place = by != nullptr && by->string("dictsort").bytes() == "value" ? 1 : 0;
  const auto key = [place](const Value& pair) { return item_of(pair, place); };
  Arguments named = arguments;
  for (const auto& [at, name] :
       {std::pair<std::size_t, const char*>{0, "case_sensitive"}, {2, "reverse"}}) {
    if (at < arguments.positional.size()) named.named.emplace_back(name, arguments.positional[at]);
  }
  named.positional.clear();
  return sorted(context, pairs(context, value, {}), named, key, 0);
}

Value unique(Context& context, const Value& value, const Arguments&) {
  List out;
  for (const Value& item : items_of(value, context.budget)) {
    const auto same = [&](const Value& other) { return equal(other, item); };
    context.budget.spend(1 + out.size() * item.weight());
    if (std::none_of(out.begin(), out.end(), same)) out.push_back(item);
  }
  return Value::list(std::move(out));
}

Value extreme(Context& context, const Value& value, bool greatest) {
  const List items = items_of(value, context.budget);
  if (items.empty()) return Value::undefined("least or greatest of nothing");
  return *std::max_element(items.begin(), items.end(), [greatest](const Value& a, const Value& b) {
    return greatest ? less(a, b) : less(b, a);
  });
}

Value absolute(Context&, const Value& value, const Arguments&) {
  if (value.is_float()) return std::abs(value.number());
  const std::int64_t number = value.integer();
  return number < 0 ? -(number + 1) + 1 : number;
}

Value get(Context&, const Value& self, const Arguments& arguments) {
  arguments.allow({"key", "default"});
  const Value* key = arguments.find(0, "key");
  if (key == nullptr) throw Problem("get wants a key");
  const Value* found =
      key->as_text() == nullptr ? nullptr : self.as_dict()->find(key->as_text()->bytes());
  if (found != nullptr) return *found;
  const Value* fallback = arguments.find(1, "default");
  return fallback == nullptr ? Value() : *fallback;
}

Value values(Context&, const Value& self, const Arguments&) {
  List out;
  for (const auto& [unused, item] : self.as_dict()->entries) out.push_back(item);
  return Value::list(std::move(out));
}

Value index(Context&, const Value& self, const Arguments& arguments) {
  const List& items = self.as_list()->items;
  const auto found = std::find_if(items.begin(), items.end(), [&](const Value& item) {
    return !arguments.positional.empty() && equal(item, arguments.positional[0]);
  });
  if (found == items.end()) throw Problem("index: the value is not in the list");
  return static_cast<std::int64_t>(found - items.begin());
}

Value count(Context&, const Value& self, const Arguments& arguments) {
  const List& items = self.as_list()->items;
  return static_cast<std::int64_t>(
      std::count_if(items.begin(), items.end(), [&](const Value& item) {
        return !arguments.positional.empty() && equal(item, arguments.positional[0]);
      }));
}

struct NamedFilter {
  std::string_view name;
  Filter filter;
};

constexpr auto kFilters = std::to_array<NamedFilter>({
    {"length", length},
    {"count", length},
    {"default", standard},
    {"d", standard},
    {"join", join},
    {"map", map},
    {"select", [](C& c, const Value& v, const A& a) { return choose(c, v, a, false, true); }},
    {"reject", [](C& c, const Value& v, const A& a) { return choose(c, v, a, false, false); }},
    {"selectattr", [](C& c, const Value& v, const A& a) { return choose(c, v, a, true, true); }},
    {"rejectattr", [](C& c, const Value& v, const A& a) { return choose(c, v, a, true, false); }},
    {"first", first},
    {"last", last},
    {"list", as_list},
    {"reverse", reverse},
    {"items", pairs},
    {"sort", sort},
    {"dictsort", dict_sort},
    {"unique", unique},
    {"min", [](C& c, const Value& v, const A&) { return extreme(c, v, false); }},
    {"max", [](C& c, const Value& v, const A&) { return extreme(c, v, true); }},
    {"abs", absolute},
});

constexpr auto kDictMethods = std::to_array<NamedFilter>(
    {{"items", pairs}, {"keys", as_list}, {"values", values}, {"get", get}});
constexpr auto kListMethods = std::to_array<NamedFilter>({{"index", index}, {"count", count}});

template <typename Table>
Filter find_in(const Table& table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(),
                                  [name](const NamedFilter& each) { return each.name == name; });
  return found == table.end() ? nullptr : found->filter;
}

}  // namespace

Filter find_list_filter(std::string_view name) {
  return find_in(kFilters, name);
}

std::optional<Value> bound_text_method(Context& context, const Value& self, std::string_view name);

std::optional<Value> bound_method(Context& context, const Value& self, std::string_view name) {
  if (self.as_text() != nullptr) return bound_text_method(context, self, name);
  Filter method = nullptr;
  if (self.as_dict() != nullptr) method = find_in(kDictMethods, name);
  if (self.as_list() != nullptr) method = find_in(kListMethods, name);
  if (method == nullptr) return std::nullopt;
  return Callable{std::string(name), [&context, self, method](const A& arguments) {
                    return method(context, self, arguments);
                  }};
}

}  // namespace tutti::jinja
