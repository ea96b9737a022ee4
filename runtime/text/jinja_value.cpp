#include "runtime/text/jinja_value.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tutti::jinja {
namespace {

constexpr int kMaxDepth = 100;  // of lists in lists
constexpr std::uint64_t kMaxWeight = std::uint64_t{1} << 40U;
constexpr std::uint64_t kBytesPerUnit = 4;

template <typename List>
auto find_entry(List& entries, std::string_view key) {
  return std::find_if(entries.begin(), entries.end(),
                      [key](const auto& entry) { return entry.first.bytes() == key; });
}

std::vector<const Entries::value_type*> by_key(const Value::Mapping& dict) {
  std::vector<const Entries::value_type*> sorted;
  for (const auto& entry : dict.entries) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(),
            [](const auto* a, const auto* b) { return a->first.bytes() < b->first.bytes(); });
  return sorted;
}

// Python's repr() of a string, each character with its origin.
Text quoted(const Text& text) {
  const bool has_single = text.bytes().find('\'') != std::string::npos;
  const char quote = has_single && text.bytes().find('"') == std::string::npos ? '"' : '\'';
  Text out(std::string(1, quote));
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text.bytes()[i];
    const auto byte = static_cast<unsigned char>(c);
    std::string spelled(1, c);
    if (const std::size_t known = std::string_view("\n\r\t\\").find(c);
        known != std::string_view::npos) {
      spelled = fmt::format("\\{}", "nrt\\"[known]);
    } else if (c == quote || byte < 0x20 || byte == 0x7f) {
      spelled = c == quote ? fmt::format("\\{}", c) : fmt::format("\\x{:02x}", byte);
    }
    out.append(spelled, text.origin(i));
  }
  out.append(std::string_view(&quote, 1), Origin::model);
  return out;
}

void print(const Value& value, bool as_repr, Text& out) {
  const auto write = [&](std::string_view words) { out.append(words, Origin::model); };
  if (const Text* text = value.as_text()) return out.append(as_repr ? quoted(*text) : *text);
  if (const auto* list = value.as_list()) {
    write("[");
    for (std::size_t i = 0; i < list->items.size(); ++i) {
      if (i > 0) write(", ");
      print(list->items[i], true, out);
    }
    return write("]");
  }
  if (const auto* dict = value.as_dict()) {
    write("{");
    for (std::size_t i = 0; i < dict->entries.size(); ++i) {
      if (i > 0) write(", ");
      out.append(quoted(dict->entries[i].first));
      write(": ");
      print(dict->entries[i].second, true, out);
    }
    return write("}");
  }
  if (value.is_none()) return write("None");
  if (value.is_bool()) return write(value.truthy() ? "True" : "False");
  if (value.is_integer()) return write(fmt::format("{}", value.integer()));
  if (value.is_float()) {
    std::string digits = fmt::format("{}", value.number());
    if (digits.find_first_not_of("-0123456789") == std::string::npos) digits += ".0";
    return write(digits);
  }
  if (!value.is_undefined()) throw Problem("a " + value.type_name() + " cannot be written");
}

}  // namespace

void Budget::spend(std::uint64_t units) {
  if (units > left_) {
    throw Problem("the template does more work than any real one: it was stopped");
  }
  left_ -= units;
}

const Value* Arguments::find(std::size_t place, std::string_view name) const {
  if (place < positional.size()) return &positional[place];
  for (const auto& [given, value] : named) {
    if (given == name) return &value;
  }
  return nullptr;
}

void Arguments::allow(std::initializer_list<std::string_view> names) const {
  if (positional.size() > names.size()) {
    throw Problem(
        fmt::format("wanted at most {} arguments, found {}", names.size(), positional.size()));
  }
  for (const auto& [given, unused] : named) {
    if (std::find(names.begin(), names.end(), given) == names.end()) {
      throw Problem(fmt::format("the argument '{}' is not supported", given));
    }
  }
}

const Value* Value::Mapping::find(std::string_view key) const {
  const auto found = find_entry(entries, key);
  return found == entries.end() ? nullptr : &found->second;
}

const Value* Value::Namespace::find(std::string_view key) const {
  const auto found = find_entry(entries, key);
  return found == entries.end() ? nullptr : &found->second;
}

// A namespace inside a namespace could hold itself.
void Value::Namespace::set(std::string_view key, Value value) {
  value.require_data();
  const auto found = find_entry(entries, key);
  if (found == entries.end()) {
    entries.emplace_back(Text(std::string(key)), std::move(value));
  } else {
    found->second = std::move(value);
  }
}

Value Value::undefined(std::string name) {
  Value value;
  value.data_ = std::make_shared<Undefined>(Undefined{std::move(name)});
  return value;
}

Value Value::list(List items) {
  Sequence sequence{{}, 1, 1};
  for (const Value& item : items) {
    item.require_data();
    sequence.weight = std::min(kMaxWeight, sequence.weight + item.weight());
    sequence.depth = std::max(sequence.depth, item.depth() + 1);
  }
  if (sequence.depth > kMaxDepth) throw Problem("lists nest too deeply");
  sequence.items = std::move(items);
  Value value;
  value.data_ = std::make_shared<const Sequence>(std::move(sequence));
  return value;
}

Value Value::dict(Entries entries) {
  Mapping mapping{{}, 1, 1};
  for (auto& [key, item] : entries) {
    item.require_data();
    mapping.weight =
        std::min(kMaxWeight, mapping.weight + item.weight() + 1 + key.size() / kBytesPerUnit);
    mapping.depth = std::max(mapping.depth, item.depth() + 1);
  }
  if (mapping.depth > kMaxDepth) throw Problem("dicts nest too deeply");
  mapping.entries = std::move(entries);
  Value value;
  value.data_ = std::make_shared<const Mapping>(std::move(mapping));
  return value;
}

Value Value::namespace_of(Entries entries) {
  Value value;
  value.data_ = std::make_shared<Namespace>(Namespace{std::move(entries)});
  return value;
}

bool Value::truthy() const {
  if (is_bool()) return std::get<bool>(data_);
  if (is_integer()) return std::get<std::int64_t>(data_) != 0;
  if (is_float()) return std::get<double>(data_) != 0;
  if (const Text* text = as_text()) return !text->empty();
  if (const Sequence* list = as_list()) return !list->items.empty();
  if (const Mapping* dict = as_dict()) return !dict->entries.empty();
  return !is_none() && !is_undefined();
}

std::int64_t Value::integer() const {
  if (is_bool()) return std::get<bool>(data_) ? 1 : 0;
  if (!is_integer()) throw Problem("wanted a whole number, found " + type_name());
  return std::get<std::int64_t>(data_);
}

double Value::number() const {
  return is_float() ? std::get<double>(data_) : static_cast<double>(integer());
}

const Text& Value::string(std::string_view who) const {
  const Text* text = as_text();
  if (text == nullptr) throw Problem(fmt::format("{} wants a string, found {}", who, type_name()));
  return *text;
}

std::string Value::type_name() const {
  if (is_undefined()) {
    return "nothing: '" + std::get<std::shared_ptr<Undefined>>(data_)->name + "' is undefined";
  }
  if (is_none()) return "none";
  if (is_bool()) return "a bool";
  if (is_integer()) return "a whole number";
  if (is_float()) return "a float";
  if (as_text() != nullptr) return "a string";
  if (as_list() != nullptr) return "a list";
  if (as_dict() != nullptr) return "a dict";
  return as_callable() != nullptr ? "a function" : "a namespace";
}

std::uint64_t Value::weight() const {
  if (const Text* text = as_text()) return 1 + text->size() / kBytesPerUnit;
  if (const Sequence* list = as_list()) return list->weight;
  if (const Mapping* dict = as_dict()) return dict->weight;
  return 1;
}

int Value::depth() const {
  if (const Sequence* list = as_list()) return list->depth;
  if (const Mapping* dict = as_dict()) return dict->depth;
  return 0;
}

void Value::require_data() const {
  if (as_namespace() != nullptr || as_callable() != nullptr) {
    throw Problem(type_name() + " inside another value is not supported");
  }
}

bool equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    return a.is_float() || b.is_float() ? a.number() == b.number() : a.integer() == b.integer();
  }
  if (a.as_text() != nullptr && b.as_text() != nullptr) {
    return a.as_text()->bytes() == b.as_text()->bytes();
  }
  if (const auto* left = a.as_list(), *right = b.as_list(); left != nullptr && right != nullptr) {
    return std::equal(left->items.begin(), left->items.end(), right->items.begin(),
                      right->items.end(), equal);
  }
  if (const auto* left = a.as_dict(), *right = b.as_dict(); left != nullptr && right != nullptr) {
    const auto same = [](const auto* x, const auto* y) {
      return x->first.bytes() == y->first.bytes() && equal(x->second, y->second);
    };
    const auto x = by_key(*left);
    const auto y = by_key(*right);
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), same);
  }
  if (a.as_namespace() != nullptr) return a.as_namespace() == b.as_namespace();
  if (a.as_callable() != nullptr) return a.as_callable() == b.as_callable();
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

bool less(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    return a.is_float() || b.is_float() ? a.number() < b.number() : a.integer() < b.integer();
  }
  if (a.as_text() != nullptr && b.as_text() != nullptr) {
    return a.as_text()->bytes() < b.as_text()->bytes();
  }
  throw Problem(fmt::format("{} and {} cannot be ordered", a.type_name(), b.type_name()));
}

List items_of(const Value& value, Budget& budget) {
  List items;
  if (const auto* list = value.as_list()) {
    budget.spend(4 * list->items.size());
    return list->items;
  }
  if (const auto* dict = value.as_dict()) {
    budget.spend(dict->weight);
    for (const auto& [key, unused] : dict->entries) items.emplace_back(key);
    return items;
  }
  if (const Text* text = value.as_text()) {
    budget.spend(8 * text->size());
    const auto starts = character_starts(text->bytes());
    for (std::size_t i = 0; i + 1 < starts.size(); ++i) {
      items.emplace_back(text->slice(starts[i], starts[i + 1]));
    }
    return items;
  }
  if (value.is_undefined()) return items;
  throw Problem("wanted a list, found " + value.type_name());
}

Text printed(const Value& value, Budget& budget) {
  budget.spend(4 * value.weight());
  Text out;
  print(value, false, out);
  return out;
}

}  // namespace tutti::jinja
