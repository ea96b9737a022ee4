#include "runtime/text/detokenizer.hpp"

#include <gtest/gtest.h>

#include <random>

#include "runtime/text/byte_alphabet.hpp"
#include "runtime/text/utf8.hpp"
#include "tests/runtime/text/small_tokenizer.hpp"

namespace tutti {
namespace {

constexpr TokenId kControl = 300;

Json control_token() {
  return Json::array({added(kControl, "<s>", {{"special", true}})});
}

// Id n is byte n, for n < 256.
std::unique_ptr<Tokenizer> byte_level() {
  Json vocab;
  const text::ByteAlphabet alphabet;
  for (int b = 0; b < 256; ++b) {
    std::string spelling;
    alphabet.append_spelling(spelling, std::string(1, static_cast<char>(b)));
    vocab[spelling] = b;
  }
  const Json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  return make_small({{"vocab", vocab}}, {{"pre_tokenizer", bytes},
                                         {"decoder", {{"type", "ByteLevel"}}},
                                         {"added_tokens", control_token()}});
}

// Llama's decoder. Ids below 10 are letters(), then ▁a, a▁b and from 20 on the bytes.
std::unique_ptr<Tokenizer> byte_fallback() {
  Json vocab = with(letters(), {{"▁a", 10}, {"a▁b", 11}});
  constexpr const char* kHex = "0123456789ABCDEF";
  for (int b = 0; b < 256; ++b) {
    vocab[std::string("<0x") + kHex[b / 16] + kHex[b % 16] + ">"] = 20 + b;
  }
  const Json replace = {{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}};
  const Json strip = {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}};
  const Json steps = {replace, {{"type", "ByteFallback"}}, {{"type", "Fuse"}}, strip};
  return make_small({{"vocab", vocab}, {"byte_fallback", true}},
                    {{"decoder", {{"type", "Sequence"}, {"decoders", steps}}},
                     {"added_tokens", control_token()}});
}

std::unique_ptr<Tokenizer> metaspace() {
  const Json space = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "always"}};
  return make_small({{"vocab", with(letters(), {{"▁a", 10}, {"a▁b", 11}})}},
                    {{"decoder", space}, {"added_tokens", control_token()}});
}

std::string streamed(const Tokenizer& tokenizer, const Ids& ids, bool skip_special) {
  Detokenizer detokenizer(tokenizer, skip_special);
  std::string text;
  for (const TokenId id : ids) {
    const std::string piece = detokenizer.push(id);
    EXPECT_TRUE(text::is_valid_utf8(piece));
    text += piece;
  }
  return text + detokenizer.finish();
}

TEST(Detokenizer, HandsOutACharacterWhenItIsWhole) {
  const auto t = byte_level();
  Detokenizer detokenizer(*t, true);
  EXPECT_EQ(detokenizer.push('a'), "a");
  EXPECT_EQ(detokenizer.push(0xF0), "");
  EXPECT_EQ(detokenizer.push(0x9F), "");
  EXPECT_EQ(detokenizer.push(0xA6), "");
  EXPECT_EQ(detokenizer.push(0x99), "🦙");
  EXPECT_EQ(detokenizer.push(0xE4), "");
  EXPECT_EQ(detokenizer.finish(), "\uFFFD");
  EXPECT_EQ(detokenizer.push('b'), "b");
}

TEST(Detokenizer, ARunOfByteTokensComesWithTheTokenAfterIt) {
  const auto t = byte_fallback();
  Detokenizer detokenizer(*t, true);
  EXPECT_EQ(detokenizer.push(20 + 0xE4), "");
  EXPECT_EQ(detokenizer.push(20 + 0xBD), "");
  EXPECT_EQ(detokenizer.push(20 + 0xA0), "");
  EXPECT_EQ(detokenizer.push(10), "你 a");
  // As the reference has it: one bad byte spoils its whole run.
  EXPECT_EQ(t->decode(Ids{20 + 0xE4, 20 + 0xBD, 20 + 0xA0, 20 + 0xFF, 0}, true),
            "\uFFFD\uFFFD\uFFFD\uFFFDa");
}

TEST(Detokenizer, OnlyTheFirstSpaceOfTheTextGoes) {
  const auto t = byte_fallback();
  EXPECT_EQ(streamed(*t, {8, 8, 0}, true), " a");
  EXPECT_EQ(streamed(*t, {10, 10, 8, 8, 10}, true), "a a   a");
  EXPECT_EQ(streamed(*t, {kControl, 10, kControl, 10}, true), "a a");
  EXPECT_EQ(streamed(*t, {kControl, 10, kControl, 10}, false), "<s> a<s> a");
}

TEST(Detokenizer, PiecesJoinedEqualDecodeForRandomIds) {
  std::mt19937 random(5);
  const auto byte_ids = byte_level();
  const auto fallback_ids = byte_fallback();
  const auto metaspace_ids = metaspace();
  for (int round = 0; round < 300; ++round) {
    Ids bytes, pieces, spaces;
    for (int i = 0; i < 60; ++i) {
      const int pick = static_cast<int>(random() % 8);
      const auto high = static_cast<TokenId>(0x80 + random() % 128);
      bytes.push_back(pick == 0 ? kControl : pick < 3 ? 'a' : high);
      pieces.push_back(pick == 0 ? kControl : pick < 4 ? 20 + high : pick + 4);
      spaces.push_back(pick == 0 ? kControl : pick + 4);
    }
    for (const bool skip : {false, true}) {
      EXPECT_EQ(streamed(*byte_ids, bytes, skip), byte_ids->decode(bytes, skip));
      EXPECT_EQ(streamed(*fallback_ids, pieces, skip), fallback_ids->decode(pieces, skip));
      EXPECT_EQ(streamed(*metaspace_ids, spaces, skip), metaspace_ids->decode(spaces, skip));
    }
  }
}

TEST(Detokenizer, EndlessGarbageStaysLinear) {
  const auto t = byte_level();
  const Ids ids(20000, 0x80);
  EXPECT_EQ(streamed(*t, ids, true), t->decode(ids, true));
}

}  // namespace
}  // namespace tutti
