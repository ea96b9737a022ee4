#include "runtime/text/jinja_canonical.hpp"

#include <algorithm>
#include <vector>

namespace tutti {
namespace {

constexpr std::string_view kSpace = " \t\r\n\f\v";

struct Node {
  enum Kind : char { literal = 'T', output = 'O', tag = 'B' } kind;
  std::string text;
};

bool name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out + '"';
}

using Words = std::vector<std::string>;  // string literals keep a leading quote as their mark

// The string literal at text[at]; moves `at` behind it.
std::optional<std::string> string_literal(std::string_view text, std::size_t& at) {
  const char quote = text[at++];
  std::string out = "\"";
  for (; at < text.size() && text[at] != quote; ++at) {
    if (text[at] != '\\') {
      out += text[at];
      continue;
    }
    if (++at >= text.size()) return std::nullopt;
    switch (text[at]) {
      case 'n':
        out += '\n';
        break;
      case 't':
        out += '\t';
        break;
      case 'r':
        out += '\r';
        break;
      case '\\':
      case '\'':
      case '"':
        out += text[at];
        break;
      default:
        return std::nullopt;
    }
  }
  if (at >= text.size()) return std::nullopt;
  ++at;
  return out;
}

// x['name'] as x.name.
void fold_subscript(Words& words) {
  const std::size_t n = words.size();
  if (n < 4 || words[n - 1] != "]" || words[n - 2][0] != '"' || words[n - 3] != "[") return;
  const std::string name = words[n - 2].substr(1);
  const std::string& before = words[n - 4];
  const bool subscript = before == "]" || before == ")" || name_character(before.back());
  if (before[0] == '"' || !subscript || name.empty() ||
      !std::all_of(name.begin(), name.end(), name_character)) {
    return;
  }
  words.resize(n - 3);
  words.push_back(".");
  words.push_back(name);
}

std::optional<Words> words_of(std::string_view text) {
  Words words;
  for (std::size_t at = 0; at < text.size();) {
    if (kSpace.find(text[at]) != std::string_view::npos) {
      ++at;
    } else if (text[at] == '\'' || text[at] == '"') {
      auto literal = string_literal(text, at);
      if (!literal) return std::nullopt;
      words.push_back(std::move(*literal));
    } else if (name_character(text[at])) {
      const std::size_t begin = at;
      while (at < text.size() && name_character(text[at])) ++at;
      words.emplace_back(text.substr(begin, at - begin));
    } else {
      const bool pair = at + 1 < text.size() && text[at + 1] == '=' &&
                        std::string_view("=!<>").find(text[at]) != std::string_view::npos;
      words.emplace_back(text.substr(at, pair ? 2 : 1));
      at += pair ? 2 : 1;
      fold_subscript(words);
    }
  }
  for (std::size_t i = 0; i + 3 < words.size(); ++i) {
    if (words[i] == "raise_exception" && words[i + 1] == "(" && words[i + 2][0] == '"') {
      words.erase(words.begin() + static_cast<std::ptrdiff_t>(i) + 2);
    }
  }
  return words;
}

std::string joined(const Words& words) {
  std::string out;
  for (const std::string& word : words) {
    if (!out.empty()) out += ' ';
    out += word[0] == '"' ? quoted(std::string_view(word).substr(1)) : word;
  }
  return out;
}

// Appends a literal, joined to one that stands just before it.
void add_literal(std::vector<Node>& nodes, std::string_view text) {
  if (text.empty()) return;
  if (!nodes.empty() && nodes.back().kind == Node::literal) {
    nodes.back().text += text;
  } else {
    nodes.push_back({Node::literal, std::string(text)});
  }
}

// Operators that bind more loosely than `+`, or would mean something else once it is split.
bool keeps_whole(const std::string& word) {
  static const std::vector<std::string_view> kLoose = {"if", "else", "and", "or", "not", "in",
                                                       "is", "==",   "!=",  "<",  ">",   "<=",
                                                       ">=", "~",    "-",   "*",  "/",   "%"};
  return std::find(kLoose.begin(), kLoose.end(), word) != kLoose.end();
}

// {{ a + 'b' }} as two outputs: all operands of our templates are text.
void add_output(std::vector<Node>& nodes, const Words& words) {
  std::vector<Words> operands(1);
  int depth = 0;
  bool whole = false;
  for (const std::string& word : words) {
    if (word == "(" || word == "[" || word == "{") ++depth;
    if (word == ")" || word == "]" || word == "}") --depth;
    if (depth == 0 && keeps_whole(word)) whole = true;
    if (depth == 0 && word == "+") {
      operands.emplace_back();
    } else {
      operands.back().push_back(word);
    }
  }
  if (whole) operands.assign(1, words);
  for (const Words& operand : operands) {
    if (operand.size() == 1 && operand[0][0] == '"') {
      add_literal(nodes, std::string_view(operand[0]).substr(1));
    } else {
      nodes.push_back({Node::output, joined(operand)});
    }
  }
}

struct Tag {
  char kind;  // '{' output, '%' statement, '#' comment
  std::size_t begin, end;
  std::string_view inside;
  bool strip_before, strip_after, keep_before, keep_after;
};

// The tag that opens at text[begin]; a closing mark inside of a string does not end it.
std::optional<Tag> tag_at(std::string_view text, std::size_t begin) {
  const char kind = text[begin + 1];
  const std::string close = std::string(1, kind == '{' ? '}' : kind) + '}';
  char quote = 0;
  for (std::size_t at = begin + 2; at + 1 < text.size(); ++at) {
    if (quote != 0) {
      if (text[at] == '\\') {
        ++at;
      } else if (text[at] == quote) {
        quote = 0;
      }
    } else if (kind != '#' && (text[at] == '\'' || text[at] == '"')) {
      quote = text[at];
    } else if (text.substr(at, 2) == close) {
      std::string_view inside = text.substr(begin + 2, at - begin - 2);
      Tag tag{kind, begin, at + 2, inside, false, false, false, false};
      if (inside.empty()) return tag;
      tag.strip_before = inside.front() == '-';
      tag.keep_before = inside.front() == '+';
      if (tag.strip_before || tag.keep_before) inside.remove_prefix(1);
      if (!inside.empty()) {
        tag.strip_after = inside.back() == '-';
        tag.keep_after = inside.back() == '+' && kind == '%';
        if (tag.strip_after || tag.keep_after) inside.remove_suffix(1);
      }
      tag.inside = inside;
      return tag;
    }
  }
  return std::nullopt;
}

std::size_t next_tag(std::string_view text, std::size_t from) {
  for (std::size_t at = text.find('{', from); at != std::string_view::npos;
       at = text.find('{', at + 1)) {
    if (at + 1 < text.size() &&
        std::string_view("{%#").find(text[at + 1]) != std::string_view::npos)
      return at;
  }
  return std::string_view::npos;
}

// What of the text before a statement or comment is left by lstrip_blocks.
std::string_view without_indent(std::string_view text, bool at_line_start) {
  const std::size_t newline = text.rfind('\n');
  const std::size_t line = newline == std::string_view::npos ? 0 : newline + 1;
  if (line == 0 && !at_line_start) return text;
  const bool blank = text.find_first_not_of(" \t\r\f\v", line) == std::string_view::npos;
  return blank ? text.substr(0, line) : text;
}

std::optional<std::vector<Node>> parse(std::string_view text) {
  std::vector<Node> nodes;
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);  // keep_trailing_newline=False
  bool strip_next = false, line_start = true;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t open = next_tag(text, at);
    std::string_view between = text.substr(at, open == text.npos ? open : open - at);
    if (strip_next)
      between.remove_prefix(std::min(between.find_first_not_of(kSpace), between.size()));
    if (open == text.npos) {
      add_literal(nodes, between);
      break;
    }
    const auto tag = tag_at(text, open);
    if (!tag) return std::nullopt;
    if (tag->strip_before) {
      const std::size_t last = between.find_last_not_of(kSpace);
      between = between.substr(0, last == between.npos ? 0 : last + 1);
    } else if (tag->kind != '{' && !tag->keep_before) {
      between = without_indent(between, line_start);
    }
    add_literal(nodes, between);
    if (tag->kind != '#') {
      const auto words = words_of(tag->inside);
      if (!words || words->empty()) return std::nullopt;
      if (tag->kind == '{') {
        add_output(nodes, *words);
      } else {
        nodes.push_back({Node::tag, joined(*words)});
      }
    }
    at = tag->end;
    strip_next = tag->strip_after;
    line_start = false;
    const bool trims_newline = tag->kind != '{' && !tag->strip_after && !tag->keep_after;
    if (trims_newline && at < text.size() && text[at] == '\n') {
      ++at;
      line_start = true;
    }
  }
  return nodes;
}

bool is_tag(const Node& node, std::string_view text) {
  return node.kind == Node::tag && node.text == text;
}

// `if tools … else X endif` is X.
void drop_tools(std::vector<Node>& nodes) {
  const auto begin = std::find_if(nodes.begin(), nodes.end(),
                                  [](const Node& node) { return is_tag(node, "if tools"); });
  auto otherwise = nodes.end();
  int depth = 0;
  for (auto at = begin; at != nodes.end(); ++at) {
    if (at->kind != Node::tag) continue;
    if (at->text.rfind("if ", 0) == 0) ++depth;
    if (depth == 1 && at->text == "else") otherwise = at;
    if (depth == 1 && at->text.rfind("elif ", 0) == 0) return;
    if (at->text != "endif" || --depth > 0) continue;
    if (otherwise == nodes.end()) otherwise = at - 1;
    nodes.erase(at);
    nodes.erase(begin, otherwise + 1);
    return;
  }
}

void drop_prompt_default(std::vector<Node>& nodes) {
  if (nodes.size() >= 3 && is_tag(nodes[0], "if not add_generation_prompt is defined") &&
      is_tag(nodes[1], "set add_generation_prompt = false") && is_tag(nodes[2], "endif")) {
    nodes.erase(nodes.begin(), nodes.begin() + 3);
  }
}

}  // namespace

std::optional<CanonicalTemplate> canonical_template(std::string_view jinja) {
  constexpr std::string_view kOpen = "<|im_start|>system\n", kClose = "<|im_end|>\n";
  auto nodes = parse(jinja);
  if (!nodes) return std::nullopt;
  drop_tools(*nodes);
  drop_prompt_default(*nodes);
  CanonicalTemplate out;
  for (Node& node : *nodes) {
    const std::string& text = node.text;
    if (node.kind == Node::literal && text.size() > kOpen.size() + kClose.size() &&
        text.compare(0, kOpen.size(), kOpen) == 0 &&
        text.compare(text.size() - kClose.size(), kClose.size(), kClose) == 0) {
      const std::string system =
          text.substr(kOpen.size(), text.size() - kOpen.size() - kClose.size());
      if (system.find("<|im_") != system.npos) return std::nullopt;
      if (!out.default_system.empty() && out.default_system != system) return std::nullopt;
      out.default_system = system;
      node.text = std::string(kOpen) + "DEFAULT" + std::string(kClose);
    }
    out.text += static_cast<char>(node.kind);
    out.text += node.kind == Node::literal ? quoted(node.text) : node.text;
    out.text += '\n';
  }
  out.digest = 0xcbf29ce484222325u;
  for (const char c : out.text) {
    out.digest = (out.digest ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  return out;
}

}  // namespace tutti
