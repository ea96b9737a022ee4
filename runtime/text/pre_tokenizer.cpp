#include "runtime/text/pre_tokenizer.hpp"

#include <fmt/format.h>

#include <functional>
#include <optional>

#include "kernels/error.hpp"
#include "runtime/text/byte_alphabet.hpp"
#include "runtime/text/metaspace.hpp"
#include "runtime/text/pattern.hpp"
#include "runtime/text/split.hpp"
#include "runtime/text/unicode.hpp"
#include "runtime/text/utf8.hpp"

namespace tutti::text {
namespace {

constexpr int kMaxDepth = 16;  // of sequences in sequences

class SplitPreTokenizer : public PreTokenizer {
 public:
  using Finder = std::function<std::vector<Span>(std::string_view)>;
  SplitPreTokenizer(Finder find, SplitBehavior behavior, bool invert)
      : find_(std::move(find)), behavior_(behavior), invert_(invert) {}

  void apply(std::vector<Piece>& pieces) const override {
    std::vector<Piece> out;
    for (const Piece& piece : pieces) {
      split_piece(piece, find_(piece.text), behavior_, invert_, out);
    }
    pieces = std::move(out);
  }

 private:
  Finder find_;
  SplitBehavior behavior_;
  bool invert_;
};

SplitPreTokenizer::Finder finder(Pattern pattern) {
  auto shared = std::make_shared<const Pattern>(std::move(pattern));
  return [shared](std::string_view text) { return shared->find_all(text); };
}

// Every single character of a class is a match.
SplitPreTokenizer::Finder finder(bool (*is_member)(char32_t)) {
  return [is_member](std::string_view text) {
    std::vector<Span> found;
    for (std::size_t i = 0; i < text.size();) {
      const CodePoint c = code_point_at(text, i);
      if (is_member(c.value)) found.push_back({i, i + c.size});
      i += c.size;
    }
    return found;
  };
}

class ByteLevelPreTokenizer : public PreTokenizer {
 public:
  ByteLevelPreTokenizer(bool add_prefix_space, std::optional<Regex> regex)
      : add_prefix_space_(add_prefix_space), regex_(std::move(regex)) {}

  void apply(std::vector<Piece>& pieces) const override {
    std::vector<Piece> out;
    for (Piece& piece : pieces) {
      if (add_prefix_space_ && piece.text.front() != ' ') piece.text.insert(0, " ");
      if (regex_) {
        split_piece(piece, regex_->find_all(piece.text), SplitBehavior::isolated, false, out);
      } else {
        out.push_back(std::move(piece));
      }
    }
    for (Piece& piece : out) {
      std::string spelling;
      spelling.reserve(piece.text.size() + 8);
      alphabet_.append_spelling(spelling, piece.text);
      piece.text = std::move(spelling);
    }
    pieces = std::move(out);
  }

 private:
  bool add_prefix_space_;
  std::optional<Regex> regex_;
  ByteAlphabet alphabet_;
};

class MetaspacePreTokenizer : public PreTokenizer {
 public:
  explicit MetaspacePreTokenizer(Metaspace metaspace) : metaspace_(std::move(metaspace)) {}

  void apply(std::vector<Piece>& pieces) const override {
    const Pattern space(std::string(" "));
    const Pattern replacement(metaspace_.replacement);
    std::vector<Piece> out;
    for (Piece& piece : pieces) {
      piece.text = space.replace_all(piece.text, metaspace_.replacement);
      const bool wanted = metaspace_.scheme == PrependScheme::always ||
                          (metaspace_.scheme == PrependScheme::first && piece.at_start);
      if (wanted && !piece.text.starts_with(metaspace_.replacement)) {
        piece.text.insert(0, metaspace_.replacement);
      }
      if (metaspace_.split) {
        split_piece(piece, replacement.find_all(piece.text), SplitBehavior::merged_with_next, false,
                    out);
      } else {
        out.push_back(std::move(piece));
      }
    }
    pieces = std::move(out);
  }

 private:
  Metaspace metaspace_;
};

class SequencePreTokenizer : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(std::vector<std::unique_ptr<PreTokenizer>> steps)
      : steps_(std::move(steps)) {}

  void apply(std::vector<Piece>& pieces) const override {
    for (const auto& step : steps_) step->apply(pieces);
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> steps_;
};

std::unique_ptr<PreTokenizer> split(SplitPreTokenizer::Finder find, SplitBehavior behavior,
                                    bool invert = false) {
  return std::make_unique<SplitPreTokenizer>(std::move(find), behavior, invert);
}

std::unique_ptr<PreTokenizer> byte_level(const Json& json, const std::string& where) {
  std::optional<Regex> regex;
  if (bool_member(json, "use_regex", true, where)) regex.emplace(kGpt2Pattern, where);
  return std::make_unique<ByteLevelPreTokenizer>(bool_member(json, "add_prefix_space", true, where),
                                                 std::move(regex));
}

std::unique_ptr<PreTokenizer> split_from_json(const Json& json, const std::string& where) {
  return split(finder(Pattern::from_json(member(json, "pattern", where), where)),
               split_behavior(string_member(json, "behavior", where), where),
               bool_member(json, "invert", false, where));
}

std::unique_ptr<PreTokenizer> punctuation(const Json& json, const std::string& where) {
  const bool named = !member(json, "behavior", where).is_null();
  return split(finder(is_punctuation),
               named ? split_behavior(string_member(json, "behavior", where), where)
                     : SplitBehavior::isolated);
}

// The words of the Rust regex `\w+|[^\w\s]+`; everything else goes.
std::unique_ptr<PreTokenizer> whitespace(const std::string& where) {
  return split(finder(Pattern(Regex(R"([\w\x{200C}\x{200D}]+|[^\w\x{200C}\x{200D}\s]+)", where))),
               SplitBehavior::removed, true);
}

std::unique_ptr<PreTokenizer> build(const Json& json, const std::string& where, int depth) {
  const std::string type = string_member(json, "type", where);
  if (type == "Sequence") {
    if (depth >= kMaxDepth) {
      throw ModelFileError(fmt::format("{}: sequences nest deeper than {}", where, kMaxDepth));
    }
    std::vector<std::unique_ptr<PreTokenizer>> steps;
    for (const Json& step : array_member(json, "pretokenizers", where)) {
      steps.push_back(build(step, where, depth + 1));
    }
    return std::make_unique<SequencePreTokenizer>(std::move(steps));
  }
  if (type == "ByteLevel") return byte_level(json, where);
  if (type == "Split") return split_from_json(json, where);
  if (type == "Metaspace") {
    return std::make_unique<MetaspacePreTokenizer>(Metaspace::from_json(json, where));
  }
  if (type == "Digits") {
    const bool single = bool_member(json, "individual_digits", false, where);
    return split(finder(is_numeric), single ? SplitBehavior::isolated : SplitBehavior::contiguous);
  }
  if (type == "Punctuation") return punctuation(json, where);
  if (type == "Whitespace") return whitespace(where);
  if (type == "WhitespaceSplit") return split(finder(is_white_space), SplitBehavior::removed);
  if (type == "CharDelimiterSplit") {
    return split(finder(Pattern(string_member(json, "delimiter", where))), SplitBehavior::removed);
  }
  throw ModelFileError(fmt::format(
      "{}: the pre-tokenizer \"{}\" is not supported (known: ByteLevel, Split, Metaspace, Digits, "
      "Punctuation, Whitespace, WhitespaceSplit, CharDelimiterSplit, Sequence)",
      where, type));
}

}  // namespace

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const Json& json, const std::string& where) {
  return json.is_null() ? nullptr : build(json, where, 0);
}

std::unique_ptr<PreTokenizer> make_byte_level_pre_tokenizer(
    std::span<const std::string_view> patterns, const std::string& where) {
  std::vector<std::unique_ptr<PreTokenizer>> steps;
  for (const std::string_view pattern : patterns) {
    steps.push_back(split(finder(Pattern(Regex(pattern, where))), SplitBehavior::isolated));
  }
  steps.push_back(std::make_unique<ByteLevelPreTokenizer>(false, std::nullopt));
  return std::make_unique<SequencePreTokenizer>(std::move(steps));
}

}  // namespace tutti::text
