// The templates' language by itself: each construct as jinja2 renders it (tests/golden/chat), what
// is refused, and that no template runs away.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/error.hpp"
#include "runtime/text/jinja_template.hpp"

namespace tutti::jinja {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;

Value value_of(const Json& json) {
  if (json.is_string()) return Text(json.get<std::string>(), Origin::user);
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_array()) {
    List items;
    for (const Json& item : json) items.push_back(value_of(item));
    return Value::list(std::move(items));
  }
  if (!json.is_object()) return {};
  Entries entries;
  for (const auto& [key, item] : json.items()) {
    entries.emplace_back(Text(key, Origin::user), value_of(item));
  }
  return Value::dict(std::move(entries));
}

// 9:05 on Tuesday, 4 March 2025.
std::tm test_time() {
  std::tm time{};
  time.tm_year = 125;
  time.tm_mon = 2;
  time.tm_mday = 4;
  time.tm_wday = 2;
  time.tm_hour = 9;
  time.tm_min = 5;
  return time;
}

std::string rendered(const std::string& source, const Variables& variables = {}) {
  return Template(source).render(variables, test_time).bytes();
}

TEST(Jinja, EveryConstructRendersAsJinja2) {
  std::ifstream in("tests/golden/chat/snippets.json");
  const Json json = Json::parse(in);
  Variables variables;
  for (const auto& [name, value] : json["values"].items()) {
    variables.emplace_back(name, value_of(value));
  }
  ASSERT_GE(json["snippets"].size(), 40u);
  for (const Json& snippet : json["snippets"]) {
    const std::string source = snippet["source"];
    SCOPED_TRACE(source);
    if (snippet["rendered"].is_null()) {
      EXPECT_THROW(rendered(source, variables), Error);
      continue;
    }
    try {
      EXPECT_EQ(rendered(source, variables), snippet["rendered"].get<std::string>());
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
    }
  }
}

void expect_refused(const std::string& source, const std::string& part) {
  SCOPED_TRACE(source.substr(0, 200));
  try {
    rendered(source);
    FAIL() << "rendered, but should have been refused: " << part;
  } catch (const ModelFileError& error) {
    EXPECT_THAT(error.what(), HasSubstr(part));
  }
}

TEST(Jinja, RefusesWhatItDoesNotKnowWithTheLine) {
  expect_refused("a\n{% include 'x' %}", "line 2: the statement {% include %}");
  expect_refused("{{ x | wordwrap }}", "line 1: the filter 'wordwrap'");
  expect_refused("\n\n{{ x is filter }}", "line 3: the test 'filter'");
  expect_refused("{{ 'a'.format(1) }}", "line 1: 'format' is no function or method");
  expect_refused("{% set l = [] %}\n{{ l.append(1) }}", "line 2: 'append'");
  expect_refused("{{ lipsum() }}", "'lipsum' is no function");
  expect_refused("{{ '%s' % 1 }}", "by % is not supported");
  expect_refused("{% call x() %}{% endcall %}", "the statement {% call %}");
  expect_refused("{% for x in y recursive %}{% endfor %}", "recursive loops");
  expect_refused("{{ f(*x) }}", "by * or **");
  expect_refused("{{ 'x' | trim(nonsense=1) }}", "'nonsense' is not supported");
  expect_refused("{{ [1] | tojson(sort_keys=true) }}", "'sort_keys' is not supported");
  expect_refused("{{ [1] | map('nope') | list }}", "the filter 'nope'");
  expect_refused("{{ ''.__class__ }}{{ ''.__class__() }}", "'__class__'");
}

TEST(Jinja, RefusesBrokenSyntaxWithTheLine) {
  expect_refused("{{ 'a }}", "line 1: a string is not closed");
  expect_refused("\n{{ a", "line 2: a tag is not closed by }}");
  expect_refused("{# a", "a comment {# is not closed");
  expect_refused("{% raw %} a", "is not closed by {% endraw %}");
  expect_refused("{% if a %}b", "wanted {% endif %}, found the end of the template");
  expect_refused("{% if a %}b{% endfor %}", "{% endfor %}");
  expect_refused("{{ a b }}", "wanted }}, found b");
  expect_refused("{{ (a] }}", "unexpected ']'");
  expect_refused("{{ ? }}", "unexpected character '?'");
  expect_refused("{{ 99999999999999999999 }}", "too large");
  expect_refused("{% break %}", "outside of a loop");
  expect_refused("{{ '\\ud800' }}", "\\u wants 4");
  expect_refused("\xff", "not UTF-8");
}

std::string many(std::size_t count, const std::string& words) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += words;
  return out;
}

// What would take for ever, or all memory, or all of the stack, ends soon.
TEST(Jinja, NoTemplateRunsAway) {
  expect_refused("{% for a in range(99999999) %}{% endfor %}", "more work");
  expect_refused("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
                 "more work");
  expect_refused("{{ 'x' * 999999999999 }}", "more work");
  expect_refused(
      "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s + n.s %}"
      "{% endfor %}",
      "more work");
  expect_refused(
      "{% set n = namespace(l=[1]) %}{% for i in range(99) %}{% set n.l = [n.l, n.l] %}"
      "{% endfor %}{{ n.l }}",
      "more work");
  expect_refused(
      "{% set n = namespace(l=[1]) %}{% for i in range(999) %}{% set n.l = [n.l] %}"
      "{% endfor %}",
      "nest too deeply");
  expect_refused("{% set n = namespace() %}{% set n.n = n %}", "namespace inside another");
  expect_refused("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "too deeply");
  expect_refused("{{ [1] | tojson(indent=999999999) }}", "more work");
  expect_refused("{{ 'a\n\n\n' | indent(99999999) }}", "more work");
  expect_refused("{{ " + many(9999, "(") + "1" + many(9999, ")") + "}}", "nest too deeply");
  expect_refused("{{ " + many(9999, "[") + "1" + many(9999, "]") + "}}", "nest too deeply");
  expect_refused("{{ " + many(9999, "not ") + "1 }}", "nest too deeply");
  expect_refused("{{ " + many(9999, "-") + "1 }}", "nest too deeply");
  expect_refused("{{ 1" + many(9999, "+1") + " }}", "nest too deeply");
  expect_refused("{{ a" + many(9999, ".a") + " }}", "nest too deeply");
  expect_refused("{{ 1" + many(9999, " if 1 else 1") + " }}", "nest too deeply");
  expect_refused(many(9999, "{% if 1 %}"), "nest too deeply");
}

TEST(Jinja, TheBoundsLeaveALongConversationRoom) {
  List messages;
  for (int i = 0; i < 2000; ++i) {
    messages.push_back(Value::dict({{Text(std::string("role")), Value::text(i % 2 ? "a" : "user")},
                                    {Text(std::string("content")), Text(std::string(2000, 'x'))}}));
  }
  const std::string source =
      "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + (m.content | trim) + "
      "'<|im_end|>' + '\\n' }}{% endfor %}";
  EXPECT_GT(rendered(source, {{"messages", Value::list(std::move(messages))}}).size(), 4000000u);
}

}  // namespace
}  // namespace tutti::jinja
