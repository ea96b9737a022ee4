#include "runtime/text/jinja_functions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tutti::jinja {
namespace {

const Value& first_argument(const Arguments& arguments) {
  if (arguments.positional.empty()) throw Problem("the test wants something to compare with");
  return arguments.positional[0];
}

bool remainder_is(const Value& value, std::int64_t divisor, std::int64_t wanted) {
  if (divisor == 0) throw Problem("division by zero");
  const std::int64_t rest = divisor == -1 ? 0 : value.integer() % divisor;
  return (rest < 0 ? rest + std::abs(divisor) : rest) == wanted;
}

bool contained(const Value& item, const Value& holder) {
  if (const Text* text = holder.as_text()) {
    return text->bytes().find(item.string("in").bytes()) != std::string::npos;
  }
  if (const auto* dict = holder.as_dict()) {
    return item.as_text() != nullptr && dict->find(item.as_text()->bytes()) != nullptr;
  }
  if (const auto* list = holder.as_list()) {
    const auto same = [&](const Value& other) { return equal(item, other); };
    return std::any_of(list->items.begin(), list->items.end(), same);
  }
  if (holder.is_undefined()) return false;
  throw Problem("'in' wants a string, list or dict, found " + holder.type_name());
}

using V = Value;
using A = Arguments;
using C = Context;

bool is_equal(C&, const V& v, const A& a) {
  return equal(v, first_argument(a));
}
bool is_less(C&, const V& v, const A& a) {
  return less(v, first_argument(a));
}
bool is_greater(C&, const V& v, const A& a) {
  return less(first_argument(a), v);
}
bool is_different(C&, const V& v, const A& a) {
  return !equal(v, first_argument(a));
}
bool is_at_most(C&, const V& v, const A& a) {
  return !less(first_argument(a), v);
}
bool is_at_least(C&, const V& v, const A& a) {
  return !less(v, first_argument(a));
}

// Python's `is`: the same type too, which == does not ask.
bool is_same(C&, const V& v, const A& a) {
  const Value& other = first_argument(a);
  return v.type_name() == other.type_name() && equal(v, other);
}

bool is_iterable(C&, const V& v, const A&) {
  return v.as_text() != nullptr || v.as_list() != nullptr || v.as_dict() != nullptr ||
         v.is_undefined();
}

struct NamedTest {
  std::string_view name;
  Test test;
};

constexpr auto kTests = std::to_array<NamedTest>({
    {"defined", [](C&, const V& v, const A&) { return !v.is_undefined(); }},
    {"undefined", [](C&, const V& v, const A&) { return v.is_undefined(); }},
    {"none", [](C&, const V& v, const A&) { return v.is_none(); }},
    {"string", [](C&, const V& v, const A&) { return v.as_text() != nullptr; }},
    {"mapping", [](C&, const V& v, const A&) { return v.as_dict() != nullptr; }},
    {"iterable", is_iterable},
    {"sequence", is_iterable},
    {"number", [](C&, const V& v, const A&) { return v.is_number(); }},
    {"integer", [](C&, const V& v, const A&) { return v.is_integer(); }},
    {"float", [](C&, const V& v, const A&) { return v.is_float(); }},
    {"boolean", [](C&, const V& v, const A&) { return v.is_bool(); }},
    {"true", [](C&, const V& v, const A&) { return v.is_bool() && v.truthy(); }},
    {"false", [](C&, const V& v, const A&) { return v.is_bool() && !v.truthy(); }},
    {"callable", [](C&, const V& v, const A&) { return v.as_callable() != nullptr; }},
    {"odd", [](C&, const V& v, const A&) { return remainder_is(v, 2, 1); }},
    {"even", [](C&, const V& v, const A&) { return remainder_is(v, 2, 0); }},
    {"divisibleby",
     [](C&, const V& v, const A& a) { return remainder_is(v, first_argument(a).integer(), 0); }},
    {"equalto", is_equal},
    {"eq", is_equal},
    {"==", is_equal},
    {"ne", is_different},
    {"!=", is_different},
    {"lt", is_less},
    {"lessthan", is_less},
    {"<", is_less},
    {"le", is_at_most},
    {"<=", is_at_most},
    {"gt", is_greater},
    {"greaterthan", is_greater},
    {">", is_greater},
    {"ge", is_at_least},
    {">=", is_at_least},
    {"sameas", is_same},
    {"in", [](C&, const V& v, const A& a) { return contained(v, first_argument(a)); }},
    {"lower",
     [](C& c, const V& v, const A&) {
       const Text text = printed(v, c.budget);
       return lower(text).bytes() == text.bytes() && upper(text).bytes() != text.bytes();
     }},
    {"upper",
     [](C& c, const V& v, const A&) {
       const Text text = printed(v, c.budget);
       return upper(text).bytes() == text.bytes() && lower(text).bytes() != text.bytes();
     }},
});

std::int64_t place_of(std::int64_t index, std::int64_t size) {
  return index < 0 ? index + size : index;
}

// Writes JSON as Python's json.dumps does.
class JsonWriter {
 public:
  JsonWriter(Budget& budget, std::int64_t indent) : budget_(budget), indent_(indent) {}

  void write(const Value& value, std::int64_t level) {
    if (const Text* text = value.as_text()) return string(*text);
    if (const auto* list = value.as_list()) {
      if (list->items.empty()) return words("[]");
      words("[");
      for (std::size_t i = 0; i < list->items.size(); ++i) {
        separate(i > 0, level + 1);
        write(list->items[i], level + 1);
      }
      return close("]", level);
    }
    if (const auto* dict = value.as_dict()) {
      if (dict->entries.empty()) return words("{}");
      words("{");
      for (std::size_t i = 0; i < dict->entries.size(); ++i) {
        separate(i > 0, level + 1);
        string(dict->entries[i].first);
        words(": ");
        write(dict->entries[i].second, level + 1);
      }
      return close("}", level);
    }
    if (value.is_none()) return words("null");
    if (value.is_bool()) return words(value.truthy() ? "true" : "false");
    if (!value.is_number()) throw Problem("tojson cannot write " + value.type_name());
    out_.append(printed(value, budget_));
  }

  Text take() { return std::move(out_); }

 private:
  void words(std::string_view text) { out_.append(text, Origin::model); }

  void separate(bool comma, std::int64_t level) {
    if (comma) words(indent_ < 0 ? ", " : ",");
    line(level);
  }

  void close(std::string_view bracket, std::int64_t level) {
    line(level);
    words(bracket);
  }

  void line(std::int64_t level) {
    if (indent_ < 0) return;
    const auto spaces = static_cast<std::size_t>(level * std::min<std::int64_t>(indent_, 1 << 28));
    budget_.spend(1 + spaces / 4);
    words("\n" + std::string(spaces, ' '));
  }

  void string(const Text& text) {
    words("\"");
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = text.bytes()[i];
      constexpr std::string_view kShort = "\"\\\n\r\t\b\f";
      constexpr std::string_view kLetters = "\"\\nrtbf";
      const std::size_t known = kShort.find(c);
      if (known != std::string_view::npos) {
        out_.append(std::string{'\\', kLetters[known]}, text.origin(i));
      } else if (static_cast<unsigned char>(c) < 0x20) {
        out_.append(fmt::format("\\u{:04x}", static_cast<int>(c)), text.origin(i));
      } else {
        out_.append(std::string_view(&c, 1), text.origin(i));
      }
    }
    words("\"");
  }

  Budget& budget_;
  std::int64_t indent_;
  Text out_;
};

}  // namespace

Filter find_filter(std::string_view name) {
  const Filter filter = find_text_filter(name);
  return filter == nullptr ? find_list_filter(name) : filter;
}

Test find_test(std::string_view name) {
  const auto* found = std::find_if(kTests.begin(), kTests.end(),
                                   [name](const NamedTest& each) { return each.name == name; });
  return found == kTests.end() ? nullptr : found->test;
}

Value item_of(const Value& value, const Value& key) {
  const auto missing = [&] {
    return Value::undefined(key.as_text() != nullptr ? key.as_text()->bytes() : "an item");
  };
  if (value.is_undefined())
    throw Problem("wanted something with items, found " + value.type_name());
  if (const auto* dict = value.as_dict()) {
    const Value* found = key.as_text() == nullptr ? nullptr : dict->find(key.as_text()->bytes());
    return found == nullptr ? missing() : *found;
  }
  if (!key.is_integer()) return missing();
  if (const auto* list = value.as_list()) {
    const std::int64_t at = place_of(key.integer(), std::ssize(list->items));
    return at >= 0 && at < std::ssize(list->items) ? list->items[static_cast<std::size_t>(at)]
                                                   : missing();
  }
  if (const Text* text = value.as_text()) {
    const auto starts = character_starts(text->bytes());
    const std::int64_t at = place_of(key.integer(), std::ssize(starts) - 1);
    if (at < 0 || at + 1 >= std::ssize(starts)) return missing();
    const auto place = static_cast<std::size_t>(at);
    return text->slice(starts[place], starts[place + 1]);
  }
  return missing();
}

Value attribute_path(const Value& value, std::string_view path) {
  Value found = value;
  while (true) {
    const std::size_t dot = path.find('.');
    const std::string name(path.substr(0, dot));
    const bool index = !name.empty() && name.size() < 10 &&
                       name.find_first_not_of("0123456789") == std::string::npos;
    if (found.is_undefined()) return found;
    if (index && found.as_dict() == nullptr) {
      found = item_of(found, static_cast<std::int64_t>(std::stol(name)));
    } else {
      found = item_of(found, Value::text(name));
    }
    if (dot == std::string_view::npos) return found;
    path.remove_prefix(dot + 1);
  }
}

Value slice_of(Context& context, const Value& value, const Value& begin, const Value& end,
               const Value& step) {
  if (value.as_list() == nullptr && value.as_text() == nullptr) {
    throw Problem("a slice [:] wants a list or a string, found " + value.type_name());
  }
  const List items = items_of(value, context.budget);
  const std::int64_t size = std::ssize(items);
  const std::int64_t by = step.is_none() ? 1 : step.integer();
  if (by == 0) throw Problem("the step of a slice is zero");
  const auto bound = [&](const Value& given, std::int64_t standard) {
    if (given.is_none()) return standard;
    const std::int64_t least = by > 0 ? 0 : -1;
    return std::clamp(place_of(given.integer(), size), least, least + size);
  };
  const std::int64_t first = bound(begin, by > 0 ? 0 : size - 1);
  const std::int64_t past = bound(end, by > 0 ? size : -1);
  List out;
  for (std::int64_t at = first; by > 0 ? at < past : at > past;) {
    out.push_back(items[static_cast<std::size_t>(at)]);
    if (by > size || by < -size) break;
    at += by;
  }
  Value list = Value::list(std::move(out));
  return value.as_text() == nullptr ? list : Value(joined(context, list, Text()));
}

Text json_text(Context& context, const Value& value, std::int64_t indent) {
  context.budget.spend(8 * value.weight());
  JsonWriter writer(context.budget, indent);
  writer.write(value, 0);
  return writer.take();
}

Text joined(Context& context, const Value& list, const Text& separator) {
  Text out;
  bool first = true;
  for (const Value& item : items_of(list, context.budget)) {
    context.budget.spend(1 + separator.size() / 4);
    if (!std::exchange(first, false)) out.append(separator);
    out.append(printed(item, context.budget));
  }
  return out;
}

}  // namespace tutti::jinja
