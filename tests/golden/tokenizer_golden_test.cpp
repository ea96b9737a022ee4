// Ids equal the reference tokenizers' on every line of tests/golden/tokenizer/corpus.txt, for
// real vocabularies; what tests/fetch_data.sh has not fetched is skipped by name.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "kernels/error.hpp"
#include "runtime/text/detokenizer.hpp"
#include "runtime/text/tokenizer.hpp"
#include "runtime/weights/tensor_source.hpp"
#include "tests/support/tiktoken_json.hpp"

namespace tutti {
namespace {

namespace fs = std::filesystem;

std::string file_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error("cannot read " + path.string());
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

std::vector<std::string> lines_of(const fs::path& path) {
  std::istringstream in(file_text(path));
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// The notation of make_tokenizer_corpus.py.
std::string unescaped(std::string_view line) {
  std::string out;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\') {
      out += line[i];
      continue;
    }
    const char kind = line.at(++i);
    if (kind == 'x') {
      out += static_cast<char>(std::stoi(std::string(line.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      out += kind == 'n' ? '\n' : kind == 'r' ? '\r' : '\\';
    }
  }
  return out;
}

const std::vector<std::string>& corpus() {
  static const auto texts = [] {
    auto lines = lines_of("tests/golden/tokenizer/corpus.txt");
    for (std::string& line : lines) line = unescaped(line);
    return lines;
  }();
  return texts;
}

// Well-formed by table 3-7 of the Unicode standard; our own, so as not to trust the tested code.
bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) {
      return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u;
    };
    const unsigned lead = byte(i);
    const std::size_t more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4) return false;
    for (std::size_t k = 1; k <= more; ++k) {
      if ((byte(i + k) & 0xc0) != 0x80) return false;
    }
    const unsigned next = byte(i + 1);
    if ((lead == 0xe0 && next < 0xa0) || (lead == 0xed && next > 0x9f) ||
        (lead == 0xf0 && next < 0x90) || (lead == 0xf4 && next > 0x8f)) {
      return false;
    }
    i += more + 1;
  }
  return true;
}

// As the goldens write a sequence: its length and FNV-1a over the ids as little-endian int32.
std::string digest(std::span<const TokenId> ids) {
  std::uint64_t value = 0xcbf29ce484222325u;
  for (const TokenId id : ids) {
    for (int shift = 0; shift < 32; shift += 8) {
      value = (value ^ ((static_cast<std::uint32_t>(id) >> shift) & 0xff)) * 0x100000001b3u;
    }
  }
  std::ostringstream out;
  out << ids.size() << ' ' << std::hex;
  out.width(16);
  out.fill('0');
  out << value;
  return out.str();
}

struct Golden {
  std::string text, parsed;  // digests
  std::string ids;           // of text, shown for the first lines only
};

std::vector<Golden> goldens(const std::string& vocabulary) {
  std::vector<Golden> out;
  for (const std::string& line : lines_of("tests/golden/tokenizer/" + vocabulary + ".golden")) {
    if (line.starts_with('#')) continue;
    const std::size_t bar = line.find(" | ");
    std::istringstream words(line.substr(0, bar));
    std::string count, hash, parsed_count, parsed_hash;
    words >> count >> hash >> parsed_count >> parsed_hash;
    const std::string text = count + ' ' + hash;
    out.push_back({text, parsed_count.empty() ? text : parsed_count + ' ' + parsed_hash,
                   bar == line.npos ? "" : line.substr(bar + 3)});
  }
  return out;
}

std::string shown(std::span<const TokenId> ids) {
  std::string out;
  for (const TokenId id : ids) out += (out.empty() ? "" : " ") + std::to_string(id);
  return out;
}

struct Vocabulary {
  const char* name;
  const char* file;  // under the data folder
  bool byte_level;
  // Bytes without a token, which encoding drops as the reference does; 0xc0 and others that no
  // well-formed text holds left out.
  std::string_view lost = {};
  std::size_t stride = 1;        // the golden is of every so many lines of the corpus
  const char* golden = nullptr;  // its name, where it is not the vocabulary's
};

void PrintTo(const Vocabulary& vocabulary, std::ostream* out) {
  *out << vocabulary.name;
}

// The control tokens as Llama 3 named them first: the file itself does not say.
std::string llama3_config() {
  std::string out;
  int reserved = 0;
  for (int i = 0; i < 256; ++i) {
    const std::string name = i == 0   ? "begin_of_text"
                             : i == 1 ? "end_of_text"
                             : i == 6 ? "start_header_id"
                             : i == 7 ? "end_header_id"
                             : i == 9 ? "eot_id"
                                      : "reserved_special_token_" + std::to_string(reserved++);
    out += (out.empty() ? "" : ",") + ("\"" + std::to_string(128000 + i)) +
           "\": {\"special\": true, \"content\": \"<|" + name + "|>\"}";
  }
  return "{\"added_tokens_decoder\": {" + out + "}}";
}

TokenizerAssets assets_of(const Vocabulary& vocabulary, const fs::path& path) {
  const std::string name = vocabulary.name;
  if (name == "smollm2" || name == "gemma3") return open_source(path)->tokenizer();
  if (name == "mistral" || name == "unigram_sp") return {{"tokenizer.model", file_text(path)}};
  if (name == "llama3tiktoken") {
    return {{"tokenizer.model", file_text(path)}, {"tokenizer_config.json", llama3_config()}};
  }
  if (name == "tekken") return {{"tekken.json", file_text(path)}};
  if (name == "unigram") return {{"tokenizer.json", file_text(path)}};
  return {{"tokenizer.json", support::llama3_tokenizer_json(file_text(path))}};
}

class TokenizerGolden : public ::testing::TestWithParam<Vocabulary> {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("TUTTI_TEST_DATA");
    const bool committed = std::string(GetParam().file).starts_with("unigram");
    const fs::path path = fs::path(committed ? "tests/golden/tokenizer"
                                   : folder  ? folder
                                             : "build/data") /
                          GetParam().file;
    if (!fs::exists(path)) {
      GTEST_SKIP() << path.string() << " is not there; tests/fetch_data.sh fetches it";
    }
    tokenizer_ = make_tokenizer(assets_of(GetParam(), path));
  }

  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_P(TokenizerGolden, IdsEqualTheReference) {
  const auto wanted = goldens(GetParam().golden ? GetParam().golden : GetParam().name);
  const std::size_t stride = GetParam().stride;
  ASSERT_EQ(wanted.size(), (corpus().size() + stride - 1) / stride);
  ASSERT_GE(wanted.size() * stride, 2000u);
  int wrong = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const std::string& line = corpus()[i * stride];
    const auto text = tokenizer_->encode(line, SpecialTokens::as_text);
    const auto parsed = tokenizer_->encode(line, SpecialTokens::parsed);
    if (digest(text) == wanted[i].text && digest(parsed) == wanted[i].parsed) continue;
    if (++wrong > 10) continue;
    ADD_FAILURE() << "corpus line " << i * stride + 1 << ": " << ::testing::PrintToString(line)
                  << "\n wanted " << wanted[i].text << ", parsed " << wanted[i].parsed << ": "
                  << wanted[i].ids << "\n  found " << digest(text) << ", parsed " << digest(parsed)
                  << ": " << shown(text) << "\n parsed: " << shown(parsed);
  }
  EXPECT_EQ(wrong, 0) << "lines of " << wanted.size();
}

TEST_P(TokenizerGolden, DecodeGivesTheTextBack) {
  if (!GetParam().byte_level)
    GTEST_SKIP() << "SentencePiece's decoding drops a space or makes one of ▁";
  int compared = 0;
  for (std::size_t i = 0; i < corpus().size(); ++i) {
    const std::string& line = corpus()[i];
    if (!is_utf8(line) || line.find_first_of(GetParam().lost) != line.npos) continue;
    ++compared;
    for (const auto how : {SpecialTokens::as_text, SpecialTokens::parsed}) {
      const auto ids = tokenizer_->encode(line, how);
      ASSERT_EQ(tokenizer_->decode(ids, false), line) << "corpus line " << i + 1;
    }
  }
  EXPECT_GE(compared, 2000);
}

TEST_P(TokenizerGolden, StreamedPiecesAreWholeCharactersAndJoinToTheDecodedText) {
  for (std::size_t i = 0; i < corpus().size(); ++i) {
    const auto ids = tokenizer_->encode(corpus()[i], SpecialTokens::parsed);
    for (const bool skip_special : {false, true}) {
      Detokenizer stream(*tokenizer_, skip_special);
      std::string joined;
      for (const TokenId id : ids) {
        const std::string piece = stream.push(id);
        ASSERT_TRUE(is_utf8(piece)) << "corpus line " << i + 1 << ", id " << id;
        joined += piece;
      }
      joined += stream.finish();
      ASSERT_EQ(joined, tokenizer_->decode(ids, skip_special)) << "corpus line " << i + 1;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Real, TokenizerGolden,
    ::testing::Values(Vocabulary{"smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", true,
                                 "\x04\x06\x13\x14\x16\x1d\xf1\xf2"},
                      Vocabulary{"gemma3", "gemma-3-270m-q4_k_m.gguf", false, {}, 8},
                      Vocabulary{"mistral", "mistral/tokenizer.model", false},
                      Vocabulary{"llama3", "llama3/tokenizer.model", true},
                      Vocabulary{"llama3tiktoken", "llama3/tokenizer.model", true, {}, 1, "llama3"},
                      Vocabulary{"tekken", "mistral/tekken.json", true, {}, 8},
                      Vocabulary{"unigram", "unigram.json", false, {}, 8},
                      Vocabulary{"unigram_sp", "unigram.model", false, {}, 8}),
    [](const auto& vocabulary) { return std::string(vocabulary.param.name); });

}  // namespace
}  // namespace tutti
