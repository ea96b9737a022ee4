// Expected ids are worked out beside the texts; those of the vocabularies that tokenizer.json can
// spell were compared with the `tokenizers` package, 0.23.3.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "runtime/text/unigram_model.hpp"
#include "tests/runtime/text/small_tokenizer.hpp"

namespace tutti::text {
namespace {

using Entries = std::vector<std::pair<std::string, double>>;

// As the reader of tokenizer.json fills it: of equal tokens the last is found.
UnigramModel model_of(const Entries& entries, std::optional<TokenId> unk,
                      bool byte_fallback = false) {
  Vocabulary vocabulary;
  std::vector<double> scores(entries.size());
  for (std::size_t id = entries.size(); id-- > 0;) {
    vocabulary.add(entries[id].first, static_cast<TokenId>(id), "test");
    scores[id] = entries[id].second;
  }
  return {std::move(vocabulary), std::move(scores), unk, byte_fallback, "test"};
}

Ids ids_of(const UnigramModel& model, std::string_view piece) {
  Ids ids;
  model.encode(piece, ids);
  return ids;
}

UnigramModel letters_and_pairs() {
  return model_of({{"<unk>", 0},
                   {"a", -1},
                   {"b", -1},
                   {"c", -1.25},
                   {"ab", -1.5},
                   {"bc", -1.75},
                   {"abc", -3.5}},
                  0);
}

TEST(Unigram, TakesTheCutWithTheBestSum) {
  const auto model = letters_and_pairs();
  EXPECT_EQ(ids_of(model, "ab"), (Ids{4})) << "-1.5 is more than -1 - 1";
  EXPECT_EQ(ids_of(model, "aab"), (Ids{1, 4})) << "-2.5";
  EXPECT_EQ(ids_of(model, "cab"), (Ids{3, 4})) << "-2.75";
  // Longer is not better by itself: "abc" has -3.5, "a" and "bc" have -2.75 together.
  EXPECT_EQ(ids_of(model, "abc"), (Ids{1, 5}));
}

TEST(Unigram, OfEqualSumsTheCutWhoseLastTokenBeginsFirstWins) {
  // "a" + "bc" and "ab" + "c" are both -2.75.
  EXPECT_EQ(ids_of(letters_and_pairs(), "abc"), (Ids{1, 5}));
  const auto model = model_of({{"<unk>", 0}, {"a", -1}, {"b", -2}, {"ab", -3}}, 0);
  EXPECT_EQ(ids_of(model, "ab"), (Ids{3}));
}

TEST(Unigram, UnknownCharactersInARowAreOneUnk) {
  const auto model = letters_and_pairs();
  EXPECT_EQ(ids_of(model, "x"), (Ids{0}));
  EXPECT_EQ(ids_of(model, "xyz"), (Ids{0}));
  EXPECT_EQ(ids_of(model, "axyb"), (Ids{1, 0, 2}));
  EXPECT_EQ(ids_of(model, "xabcéñy"), (Ids{0, 1, 5, 0}));
}

// A character without a token counts 10 less than the worst token.
TEST(Unigram, AnUnkIsWorseThanTheWorstTokenByTen) {
  const auto model = [](double worst) {
    return model_of({{"<unk>", 0}, {"x", worst}, {"ab", worst}, {"xa", 0}}, 0);
  };
  EXPECT_EQ(ids_of(model(-9), "xab"), (Ids{1, 2})) << "-18, and xa with an unk -19";
  EXPECT_EQ(ids_of(model(-11), "xab"), (Ids{3, 0})) << "-21, and x with ab -22";
}

TEST(Unigram, OfEqualTokensTheLastCounts) {
  const auto model = model_of({{"<unk>", 0}, {"a", -1}, {"b", -2}, {"a", -5}}, 0);
  EXPECT_EQ(ids_of(model, "aab"), (Ids{3, 3, 2}));
}

TEST(Unigram, ByteFallbackSpellsARunWhereAllOfItsBytesAreThere) {
  const Entries entries = {{"<unk>", 0},   {"é", -1},      {"<0xC3>", -2},
                           {"<0xA9>", -2}, {"<0xA8>", -2}, {"e", -1}};
  const auto model = model_of(entries, 0, true);
  EXPECT_EQ(ids_of(model, "eèèe"), (Ids{5, 2, 4, 2, 4, 5})) << "è is C3 A8";
  EXPECT_EQ(ids_of(model, "é"), (Ids{1})) << "a token of its own goes before its bytes";
  // ñ is C3 B1, and B1 has no token: the whole run is one unk, è with it.
  EXPECT_EQ(ids_of(model, "eèñe"), (Ids{5, 0, 5}));
  EXPECT_EQ(ids_of(model_of(entries, 0, false), "eèe"), (Ids{5, 0, 5}));
}

TEST(Unigram, WithoutAnUnkOnlyWhatNeedsOneIsRefused) {
  // "b" has no token, but "ab" is the better way there.
  const auto model = model_of({{"a", -1}, {"ab", -1.5}}, std::nullopt);
  EXPECT_EQ(ids_of(model, "ab"), (Ids{1}));
  EXPECT_EQ(ids_of(model, "aab"), (Ids{0, 1}));
  try {
    ids_of(model, "abé");
    FAIL() << "'é' has no token";
  } catch (const ModelFileError& error) {
    EXPECT_STREQ(error.what(), "test: no token for 'é', and no unk_id");
  }
}

TEST(Unigram, AnUnkOutsideTheVocabularyIsRefused) {
  try {
    model_of({{"a", -1}, {"b", -1}}, 2);
    FAIL();
  } catch (const ModelFileError& error) {
    EXPECT_STREQ(error.what(), "test: \"unk_id\" is 2, the vocabulary has 2 tokens");
  }
  EXPECT_THROW(model_of({}, std::nullopt), ModelFileError);
}

// A path that was tried first and lost must leave nothing behind, however long the text is.
TEST(Unigram, ALongPieceIsCutInOneGo) {
  std::string text;
  for (int i = 0; i < 50000; ++i) text += "abc";
  const Ids ids = ids_of(letters_and_pairs(), text);
  ASSERT_EQ(ids.size(), 100000U);
  EXPECT_EQ((Ids{ids.end() - 2, ids.end()}), (Ids{1, 5}));
}

TEST(Unigram, IsReadFromTokenizerJson) {
  const Json vocab = {{"<unk>", 0.0}, {"▁", -2.0}, {"a", -1.0}, {"▁a", -2.5}};
  Json pairs = Json::array();
  for (const char* token : {"<unk>", "▁", "a", "▁a"}) pairs.push_back({token, vocab[token]});
  const Json space = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "always"}};
  const auto t = make_tokenizer(
      {{"tokenizer.json", Json{{"model", {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", pairs}}},
                               {"pre_tokenizer", space},
                               {"decoder", space}}
                              .dump()}});
  EXPECT_EQ(encode(*t, "a aa"), (Ids{3, 3, 2})) << "▁a ▁a a";
  EXPECT_EQ(encode(*t, "xa"), (Ids{1, 0, 2})) << "▁ x a";
  EXPECT_EQ(t->special().unk, 0);
  EXPECT_EQ(t->kind(), "Unigram (tokenizer.json)");
}

}  // namespace
}  // namespace tutti::text
