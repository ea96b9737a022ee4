// Filters and methods of strings.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "runtime/text/jinja_functions.hpp"

namespace tutti::jinja {
namespace {

const Text& text_argument(const Arguments& arguments, std::size_t place, std::string_view name,
                          std::string_view who) {
  const Value* given = arguments.find(place, name);
  if (given == nullptr) throw Problem(fmt::format("{} wants the argument '{}'", who, name));
  return given->string(who);
}

Value strip(const Text& text, const Arguments& arguments, Side side) {
  arguments.allow({"chars"});
  const Value* set = arguments.find(0, "chars");
  if (set == nullptr || set->is_none()) return stripped(text, side);
  return stripped(text, set->string("strip").bytes(), side);
}

Value list_of(Context& context, std::vector<Text> parts) {
  context.budget.spend(16 * parts.size());
  List items;
  for (Text& part : parts) items.emplace_back(std::move(part));
  return Value::list(std::move(items));
}

// Cut at white space; after `limit` cuts the rest stays whole.
Value split_at_space(Context& context, const Text& text, std::int64_t limit) {
  std::vector<Text> parts;
  Text rest = stripped(text, Side::left);
  std::size_t begin = text.size() - rest.size();
  for (std::size_t at = begin; at < text.size();) {
    const std::size_t space = space_at_start(std::string_view(text.bytes()).substr(at, 4));
    if (space == 0) {
      ++at;
      continue;
    }
    if (limit >= 0 && std::ssize(parts) == limit) break;
    context.budget.spend(32);
    parts.push_back(text.slice(begin, at));
    begin = at;
    while (begin < text.size()) {
      const std::size_t more = space_at_start(std::string_view(text.bytes()).substr(begin, 4));
      if (more == 0) break;
      begin += more;
    }
    at = begin;
  }
  if (begin < text.size()) {
    const bool cut = limit >= 0 && std::ssize(parts) == limit;
    Text last = text.slice(begin, text.size());
    parts.push_back(cut ? std::move(last) : stripped(last, Side::right));
  }
  return list_of(context, std::move(parts));
}

Value split(Context& context, const Text& text, const Arguments& arguments, bool from_right) {
  arguments.allow({"sep", "maxsplit"});
  const Value* given = arguments.find(0, "sep");
  const Value* most = arguments.find(1, "maxsplit");
  const std::int64_t limit = most == nullptr ? -1 : most->integer();
  if (given == nullptr || given->is_none()) {
    if (from_right && limit >= 0) throw Problem("rsplit wants a separator here");
    return split_at_space(context, text, limit);
  }
  const std::string& separator = given->string("split").bytes();
  if (separator.empty()) throw Problem("split wants a separator that is not empty");
  std::vector<std::size_t> cuts;
  const std::string& bytes = text.bytes();
  if (from_right) {
    for (std::size_t end = bytes.size(); end >= separator.size();) {
      if (limit >= 0 && std::ssize(cuts) == limit) break;
      const std::size_t at = bytes.rfind(separator, end - separator.size());
      if (at == std::string::npos) break;
      cuts.push_back(at);
      end = at;
    }
    std::reverse(cuts.begin(), cuts.end());
  } else {
    for (std::size_t at = 0; (at = bytes.find(separator, at)) != std::string::npos;) {
      if (limit >= 0 && std::ssize(cuts) == limit) break;
      cuts.push_back(at);
      at += separator.size();
    }
  }
  context.budget.spend(32 * cuts.size());
  std::vector<Text> parts;
  std::size_t begin = 0;
  for (const std::size_t cut : cuts) {
    parts.push_back(text.slice(begin, cut));
    begin = cut + separator.size();
  }
  parts.push_back(text.slice(begin, text.size()));
  return list_of(context, std::move(parts));
}

// At newlines, which go.
Value split_lines(Context& context, const Text& text) {
  std::vector<Text> parts;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.bytes().find_first_of("\r\n", begin), text.size());
    context.budget.spend(32);
    parts.push_back(text.slice(begin, end));
    begin = end + (text.bytes().compare(end, 2, "\r\n") == 0 ? 2 : 1);
  }
  return list_of(context, std::move(parts));
}

bool touches(const Text& text, const Arguments& arguments, bool at_end) {
  arguments.allow({"affix"});
  const Value* affix = arguments.find(0, "affix");
  if (affix == nullptr) throw Problem("startswith and endswith want a string");
  const auto is_at = [&](const Value& value) {
    const std::string& words = value.string("startswith and endswith").bytes();
    return at_end ? text.bytes().ends_with(words) : text.bytes().starts_with(words);
  };
  const auto* list = affix->as_list();
  return list == nullptr ? is_at(*affix)
                         : std::any_of(list->items.begin(), list->items.end(), is_at);
}

Value without_affix(const Text& text, const Arguments& arguments, bool at_end) {
  const std::size_t size = text_argument(arguments, 0, "affix", "removeprefix").size();
  if (!touches(text, arguments, at_end)) return text;
  return at_end ? text.slice(0, text.size() - size) : text.slice(size, text.size());
}

Value replace(Context& context, const Text& text, const Arguments& arguments) {
  arguments.allow({"old", "new", "count"});
  const Value* count = arguments.find(2, "count");
  return replaced(context, text, text_argument(arguments, 0, "old", "replace").bytes(),
                  text_argument(arguments, 1, "new", "replace"),
                  count == nullptr || count->is_none() ? -1 : count->integer());
}

Value find_in(const Text& text, const Arguments& arguments, bool last) {
  arguments.allow({"sub"});
  const std::string& wanted = text_argument(arguments, 0, "sub", "find").bytes();
  const std::size_t at = last ? text.bytes().rfind(wanted) : text.bytes().find(wanted);
  if (at == std::string::npos) return std::int64_t{-1};
  return static_cast<std::int64_t>(character_count(std::string_view(text.bytes()).substr(0, at)));
}

Value count_in(const Text& text, const Arguments& arguments) {
  arguments.allow({"sub"});
  const std::string& wanted = text_argument(arguments, 0, "sub", "count").bytes();
  if (wanted.empty()) throw Problem("count wants a string that is not empty");
  std::int64_t count = 0;
  for (std::size_t at = 0; (at = text.bytes().find(wanted, at)) != std::string::npos; ++count) {
    at += wanted.size();
  }
  return count;
}

using Method = Value (*)(Context&, const Text&, const Arguments&);
struct NamedMethod {
  std::string_view name;
  Method method;
};
using A = Arguments;
using C = Context;

constexpr auto kMethods = std::to_array<NamedMethod>({
    {"strip", [](C&, const Text& t, const A& a) { return strip(t, a, Side::both); }},
    {"lstrip", [](C&, const Text& t, const A& a) { return strip(t, a, Side::left); }},
    {"rstrip", [](C&, const Text& t, const A& a) { return strip(t, a, Side::right); }},
    {"split", [](C& c, const Text& t, const A& a) { return split(c, t, a, false); }},
    {"rsplit", [](C& c, const Text& t, const A& a) { return split(c, t, a, true); }},
    {"splitlines", [](C& c, const Text& t, const A&) { return split_lines(c, t); }},
    {"startswith", [](C&, const Text& t, const A& a) { return Value(touches(t, a, false)); }},
    {"endswith", [](C&, const Text& t, const A& a) { return Value(touches(t, a, true)); }},
    {"removeprefix", [](C&, const Text& t, const A& a) { return without_affix(t, a, false); }},
    {"removesuffix", [](C&, const Text& t, const A& a) { return without_affix(t, a, true); }},
    {"replace", [](C& c, const Text& t, const A& a) { return replace(c, t, a); }},
    {"find", [](C&, const Text& t, const A& a) { return find_in(t, a, false); }},
    {"rfind", [](C&, const Text& t, const A& a) { return find_in(t, a, true); }},
    {"count", [](C&, const Text& t, const A& a) { return count_in(t, a); }},
    {"upper", [](C&, const Text& t, const A&) { return Value(upper(t)); }},
    {"lower", [](C&, const Text& t, const A&) { return Value(lower(t)); }},
    {"title", [](C&, const Text& t, const A&) { return Value(capitalized(t, true)); }},
    {"capitalize", [](C&, const Text& t, const A&) { return Value(capitalized(t, false)); }},
    {"join",
     [](C& c, const Text& t, const A& a) {
       a.allow({"items"});
       const Value* items = a.find(0, "items");
       if (items == nullptr) throw Problem("join wants a list");
       return Value(joined(c, *items, t));
     }},
});

// The filters on strings take anything that can be written, as Jinja's do.
template <Value (*Function)(Context&, const Text&, const Arguments&)>
Value on_text(Context& context, const Value& value, const Arguments& arguments) {
  return Function(context, printed(value, context.budget), arguments);
}

Value trim(Context&, const Text& text, const Arguments& arguments) {
  return strip(text, arguments, Side::both);
}
Value upper_filter(Context&, const Text& text, const Arguments&) {
  return upper(text);
}
Value lower_filter(Context&, const Text& text, const Arguments&) {
  return lower(text);
}
Value title(Context&, const Text& text, const Arguments&) {
  return capitalized(text, true);
}
Value capitalize(Context&, const Text& text, const Arguments&) {
  return capitalized(text, false);
}
Value as_it_is(Context&, const Text& text, const Arguments&) {
  return text;
}

// Lines but the first (and empty ones) moved to the right.
Value indent(Context& context, const Text& text, const Arguments& arguments) {
  arguments.allow({"width", "first", "blank"});
  const Value* width = arguments.find(0, "width");
  Text margin(std::string("    "));
  if (width != nullptr && width->as_text() != nullptr) {
    margin = *width->as_text();
  } else if (width != nullptr) {
    margin = repeated(context, Text(std::string(" ")), width->integer());
  }
  const Value* first = arguments.find(1, "first");
  const Value* blank = arguments.find(2, "blank");
  Text out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.bytes().find('\n', begin), text.size());
    const bool margined = begin == 0 ? first != nullptr && first->truthy()
                                     : end > begin || (blank != nullptr && blank->truthy());
    context.budget.spend(1 + margin.size() / 4);
    if (margined) out.append(margin);
    out.append(text.slice(begin, std::min(end + 1, text.size())));
    begin = end + 1;
  }
  return out;
}

Value to_integer(Context&, const Value& value, const Arguments& arguments) {
  arguments.allow({"default"});
  const Value* fallback = arguments.find(0, "default");
  const Value otherwise = fallback == nullptr ? Value(std::int64_t{0}) : *fallback;
  if (value.is_float()) {
    const double number = value.number();
    return number > -9e18 && number < 9e18 ? Value(static_cast<std::int64_t>(number)) : otherwise;
  }
  if (value.is_number()) return value.integer();
  const Text* text = value.as_text();
  if (text == nullptr) return otherwise;
  const std::string digits = stripped(*text, Side::both).bytes();
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc() && end == digits.data() + digits.size() ? Value(number) : otherwise;
}

Value to_float(Context&, const Value& value, const Arguments& arguments) {
  arguments.allow({"default"});
  const Value* fallback = arguments.find(0, "default");
  if (value.is_number()) return value.number();
  if (const Text* text = value.as_text()) {
    const std::string digits = stripped(*text, Side::both).bytes();
    double number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc() && end == digits.data() + digits.size()) return number;
  }
  return fallback == nullptr ? Value(0.0) : *fallback;
}

Value to_json(Context& context, const Value& value, const Arguments& arguments) {
  // transformers' own tojson: ensure_ascii is false whoever asks.
  arguments.allow({"ensure_ascii", "indent"});
  const Value* ascii = arguments.find(0, "ensure_ascii");
  if (arguments.positional.size() == 1 && !arguments.positional[0].is_bool()) {
    return json_text(context, value, arguments.positional[0].integer());  // Jinja2's own order
  }
  if (ascii != nullptr && ascii->truthy())
    throw Problem("tojson with ensure_ascii is not supported");
  const Value* indent = arguments.find(1, "indent");
  return json_text(context, value, indent == nullptr || indent->is_none() ? -1 : indent->integer());
}

struct NamedFilter {
  std::string_view name;
  Filter filter;
};

constexpr auto kFilters = std::to_array<NamedFilter>({
    {"trim", on_text<trim>},
    {"upper", on_text<upper_filter>},
    {"lower", on_text<lower_filter>},
    {"title", on_text<title>},
    {"capitalize", on_text<capitalize>},
    {"string", on_text<as_it_is>},
    {"safe", on_text<as_it_is>},
    {"replace", on_text<replace>},
    {"indent", on_text<indent>},
    {"int", to_integer},
    {"float", to_float},
    {"tojson", to_json},
});

}  // namespace

Filter find_text_filter(std::string_view name) {
  const auto* found = std::find_if(kFilters.begin(), kFilters.end(),
                                   [name](const NamedFilter& each) { return each.name == name; });
  return found == kFilters.end() ? nullptr : found->filter;
}

std::optional<Value> bound_text_method(Context& context, const Value& self, std::string_view name) {
  for (const NamedMethod& each : kMethods) {
    if (each.name != name) continue;
    return Callable{std::string(name), [&context, self, method = each.method](const A& arguments) {
                      return method(context, *self.as_text(), arguments);
                    }};
  }
  return std::nullopt;
}

Text replaced(Context& context, const Text& text, std::string_view from, const Text& to,
              std::int64_t count) {
  if (from.empty()) throw Problem("replace wants a string that is not empty");
  Text out;
  std::size_t begin = 0;
  for (; count != 0; --count) {
    const std::size_t at = text.bytes().find(from, begin);
    if (at == std::string::npos) break;
    context.budget.spend(1 + to.size() / 4);
    out.append(text.slice(begin, at));
    out.append(to);
    begin = at + from.size();
  }
  out.append(text.slice(begin, text.size()));
  return out;
}

Text repeated(Context& context, const Text& text, std::int64_t count) {
  const auto times = static_cast<std::uint64_t>(
      std::clamp<std::int64_t>(count, 0, std::numeric_limits<std::int32_t>::max()));
  context.budget.spend(times * (text.size() / 4 + 1));
  Text out;
  for (std::uint64_t i = 0; i < times; ++i) out.append(text);
  return out;
}

}  // namespace tutti::jinja
