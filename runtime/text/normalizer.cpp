#include "runtime/text/normalizer.hpp"

#include <fmt/format.h>

#include <functional>
#include <vector>

#include "kernels/error.hpp"
#include "runtime/text/byte_alphabet.hpp"
#include "runtime/text/pattern.hpp"
#include "runtime/text/unicode.hpp"
#include "runtime/text/utf8.hpp"

namespace tutti::text {
namespace {

constexpr int kMaxDepth = 16;  // of sequences in sequences

// Sequences of replacements can double a text again and again; no real one grows it so much.
constexpr std::size_t kMaxGrowth = 64;
constexpr std::size_t kFreeBytes = 1U << 20U;

// A step that only looks at the characters.
class TextNormalizer : public Normalizer {
 public:
  using Step = std::function<std::string(const std::string&)>;
  explicit TextNormalizer(Step step) : step_(std::move(step)) {}
  void apply(Piece& piece) const override { piece.text = step_(piece.text); }

 private:
  Step step_;
};

class StripNormalizer : public Normalizer {
 public:
  StripNormalizer(bool left, bool right) : left_(left), right_(right) {}

  void apply(Piece& piece) const override {
    std::string_view text = piece.text;
    while (left_ && !text.empty()) {
      const CodePoint c = code_point_at(text, 0);
      if (!is_white_space(c.value)) break;
      text.remove_prefix(c.size);
      piece.at_start = false;
    }
    while (right_ && !text.empty()) {
      const CodePoint c = last_code_point(text);
      if (!is_white_space(c.value)) break;
      text.remove_suffix(c.size);
    }
    piece.text = std::string(text);
  }

 private:
  bool left_, right_;
};

class SequenceNormalizer : public Normalizer {
 public:
  SequenceNormalizer(std::vector<std::unique_ptr<Normalizer>> steps, std::string where)
      : steps_(std::move(steps)), where_(std::move(where)) {}

  void apply(Piece& piece) const override {
    const std::size_t limit = kFreeBytes + kMaxGrowth * piece.text.size();
    for (const auto& step : steps_) {
      step->apply(piece);
      if (piece.text.size() > limit) {
        throw ModelFileError(
            fmt::format("{}: the sequence blows a text up beyond {} bytes", where_, limit));
      }
    }
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> steps_;
  std::string where_;
};

std::string strip_accents(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = code_point_at(text, i);
    if (!is_mark(c.value)) out += text.substr(i, c.size);
    i += c.size;
  }
  return out;
}

TextNormalizer::Step replace_step(const Json& json, const std::string& where) {
  auto pattern =
      std::make_shared<const Pattern>(Pattern::from_json(member(json, "pattern", where), where));
  return [pattern, content = string_member(json, "content", where)](const std::string& text) {
    return pattern->replace_all(text, content);
  };
}

// The step of the named type; empty where there is none of that name.
TextNormalizer::Step text_step(const std::string& type, const Json& json,
                               const std::string& where) {
  const auto form = [](NormalForm to) {
    return [to](const std::string& text) { return normal_form(text, to); };
  };
  if (type == "NFC") return form(NormalForm::nfc);
  if (type == "NFD") return form(NormalForm::nfd);
  if (type == "NFKC") return form(NormalForm::nfkc);
  if (type == "NFKD") return form(NormalForm::nfkd);
  if (type == "Lowercase") return [](const std::string& text) { return lower_case(text); };
  if (type == "StripAccents") return strip_accents;
  if (type == "Prepend") {
    return [prefix = string_member(json, "prepend", where)](const std::string& text) {
      return text.empty() ? text : prefix + text;
    };
  }
  if (type == "Replace") return replace_step(json, where);
  if (type == "ByteLevel") {
    return [alphabet = ByteAlphabet()](const std::string& text) {
      std::string out;
      alphabet.append_spelling(out, text);
      return out;
    };
  }
  return nullptr;
}

std::unique_ptr<Normalizer> build(const Json& json, const std::string& where, int depth) {
  const std::string type = string_member(json, "type", where);
  if (type == "Sequence") {
    if (depth >= kMaxDepth) {
      throw ModelFileError(fmt::format("{}: sequences nest deeper than {}", where, kMaxDepth));
    }
    std::vector<std::unique_ptr<Normalizer>> steps;
    for (const Json& step : array_member(json, "normalizers", where)) {
      steps.push_back(build(step, where, depth + 1));
    }
    return std::make_unique<SequenceNormalizer>(std::move(steps), where);
  }
  if (type == "Strip") {
    return std::make_unique<StripNormalizer>(bool_member(json, "strip_left", true, where),
                                             bool_member(json, "strip_right", true, where));
  }
  if (auto step = text_step(type, json, where)) {
    return std::make_unique<TextNormalizer>(std::move(step));
  }
  throw ModelFileError(fmt::format(
      "{}: the normalizer \"{}\" is not supported (known: NFC, NFD, NFKC, NFKD, Lowercase, Strip, "
      "StripAccents, Prepend, Replace, ByteLevel, Sequence)",
      where, type));
}

}  // namespace

std::unique_ptr<Normalizer> make_normalizer(const Json& json, const std::string& where) {
  return json.is_null() ? nullptr : build(json, where, 0);
}

}  // namespace tutti::text
