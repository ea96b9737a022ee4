#include "runtime/text/decoder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "kernels/error.hpp"
#include "runtime/text/byte_alphabet.hpp"
#include "runtime/text/metaspace.hpp"
#include "runtime/text/pattern.hpp"
#include "runtime/text/utf8.hpp"

namespace tutti::text {
namespace {

constexpr int kMaxDepth = 16;  // of sequences in sequences
using Tokens = std::vector<std::string>;

class ByteLevelDecoder : public Decoder {
 public:
  Tokens apply(Tokens tokens) const override {
    std::string bytes;
    for (const std::string& token : tokens) bytes += alphabet_.bytes_of(token).value_or(token);
    return {replace_invalid_utf8(bytes)};
  }

 private:
  ByteAlphabet alphabet_;
};

// A run of byte tokens is read as one text; where it is none, each of its bytes becomes U+FFFD.
class ByteFallbackDecoder : public Decoder {
 public:
  Tokens apply(Tokens tokens) const override {
    Tokens out;
    std::string run;
    const auto flush = [&] {
      if (is_valid_utf8(run)) {
        if (!run.empty()) out.push_back(run);
      } else {
        out.insert(out.end(), run.size(), std::string(kReplacement));
      }
      run.clear();
    };
    for (std::string& token : tokens) {
      const int byte = fallback_byte(token);
      if (byte >= 0) {
        run.push_back(static_cast<char>(byte));
      } else {
        flush();
        out.push_back(std::move(token));
      }
    }
    flush();
    return out;
  }
};

class FuseDecoder : public Decoder {
 public:
  Tokens apply(Tokens tokens) const override {
    std::string text;
    for (const std::string& token : tokens) text += token;
    return {std::move(text)};
  }
};

// Up to `count` times `content` goes from the beginning of each token.
class StripDecoder : public Decoder {
 public:
  StripDecoder(std::string content, std::size_t count)
      : content_(std::move(content)), count_(count) {}

  Tokens apply(Tokens tokens) const override {
    for (std::string& token : tokens) {
      std::size_t bytes = 0;
      for (std::size_t i = 0; i < count_; ++i) {
        if (token.compare(bytes, content_.size(), content_) != 0) break;
        bytes += content_.size();
      }
      token.erase(0, bytes);
    }
    return tokens;
  }

 private:
  std::string content_;
  std::size_t count_;
};

class ReplaceDecoder : public Decoder {
 public:
  ReplaceDecoder(Pattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  Tokens apply(Tokens tokens) const override {
    for (std::string& token : tokens) token = pattern_.replace_all(token, content_);
    return tokens;
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class MetaspaceDecoder : public Decoder {
 public:
  explicit MetaspaceDecoder(const Metaspace& metaspace)
      : replacement_(metaspace.replacement),
        drop_in_first_(metaspace.scheme != PrependScheme::never) {}

  Tokens apply(Tokens tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = replacement_.replace_all(tokens[i], i == 0 && drop_in_first_ ? "" : " ");
    }
    return tokens;
  }

 private:
  Pattern replacement_;
  bool drop_in_first_;
};

class SequenceDecoder : public Decoder {
 public:
  explicit SequenceDecoder(std::vector<std::unique_ptr<Decoder>> steps)
      : steps_(std::move(steps)) {}

  Tokens apply(Tokens tokens) const override {
    for (const auto& step : steps_) tokens = step->apply(std::move(tokens));
    return tokens;
  }

 private:
  std::vector<std::unique_ptr<Decoder>> steps_;
};

std::unique_ptr<Decoder> strip_from_json(const Json& json, const std::string& where) {
  const std::string content = string_member(json, "content", where);
  const std::int64_t start = int_member(json, "start", where).value_or(0);
  const std::int64_t stop = int_member(json, "stop", where).value_or(0);
  if (content.empty() || start < 0 || stop != 0) {
    // What is stripped from the end could not be told while the text is still growing.
    throw ModelFileError(
        fmt::format("{}: Strip wants one character, start >= 0 and stop = 0, found '{}', {}, {}",
                    where, content, start, stop));
  }
  return std::make_unique<StripDecoder>(content, static_cast<std::size_t>(start));
}

std::unique_ptr<Decoder> build(const Json& json, const std::string& where, int depth) {
  const std::string type = string_member(json, "type", where);
  if (type == "Sequence") {
    if (depth >= kMaxDepth) {
      throw ModelFileError(fmt::format("{}: sequences nest deeper than {}", where, kMaxDepth));
    }
    std::vector<std::unique_ptr<Decoder>> steps;
    for (const Json& step : array_member(json, "decoders", where)) {
      steps.push_back(build(step, where, depth + 1));
    }
    return std::make_unique<SequenceDecoder>(std::move(steps));
  }
  if (type == "ByteLevel") return std::make_unique<ByteLevelDecoder>();
  if (type == "ByteFallback") return std::make_unique<ByteFallbackDecoder>();
  if (type == "Fuse") return std::make_unique<FuseDecoder>();
  if (type == "Strip") return strip_from_json(json, where);
  if (type == "Metaspace") {
    return std::make_unique<MetaspaceDecoder>(Metaspace::from_json(json, where));
  }
  if (type == "Replace") {
    return std::make_unique<ReplaceDecoder>(
        Pattern::from_json(member(json, "pattern", where), where),
        string_member(json, "content", where));
  }
  throw ModelFileError(
      fmt::format("{}: the decoder \"{}\" is not supported (known: ByteLevel, ByteFallback, Fuse, "
                  "Strip, Replace, Metaspace, Sequence)",
                  where, type));
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::unique_ptr<Decoder> make_decoder(const Json& json, const std::string& where) {
  return json.is_null() ? nullptr : build(json, where, 0);
}

int fallback_byte(std::string_view spelling) {
  if (spelling.size() != 6 || !spelling.starts_with("<0x") || spelling.back() != '>') return -1;
  const int high = hex_digit(spelling[3]);
  const int low = hex_digit(spelling[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

std::unique_ptr<Decoder> make_sentencepiece_decoder(bool strip_first_space) {
  std::vector<std::unique_ptr<Decoder>> steps;
  steps.push_back(std::make_unique<ReplaceDecoder>(Pattern(std::string("▁")), " "));
  steps.push_back(std::make_unique<ByteFallbackDecoder>());
  steps.push_back(std::make_unique<FuseDecoder>());
  if (strip_first_space) steps.push_back(std::make_unique<StripDecoder>(" ", 1));
  return std::make_unique<SequenceDecoder>(std::move(steps));
}

}  // namespace tutti::text
