// Expected ids are worked out beside the texts; the `tiktoken` package, 0.14.0, gives the same.
#include "runtime/text/rank_model.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/runtime/text/small_tokenizer.hpp"

namespace tutti::text {
namespace {

RankModel model_of(const std::vector<std::string>& tokens) {
  Vocabulary vocabulary;
  TokenId id = 0;
  for (const std::string& token : tokens) vocabulary.add(token, id++, "test");
  return RankModel(std::move(vocabulary));
}

Ids ids_of(const RankModel& model, std::string_view piece) {
  Ids ids;
  model.encode(piece, ids);
  return ids;
}

TEST(RankModel, JoinsTheLowestRankFirstAndOfEqualsTheLeftmost) {
  const auto model = model_of({"a", "b", "c", "bc", "ab", "aa"});
  EXPECT_EQ(ids_of(model, "abc"), (Ids{0, 3})) << "bc has rank 3, ab rank 4";
  EXPECT_EQ(ids_of(model, "aba"), (Ids{4, 0}));
  EXPECT_EQ(ids_of(model, "aaa"), (Ids{5, 0}));
  EXPECT_EQ(ids_of(model, "aaaa"), (Ids{5, 5}));
}

TEST(RankModel, AWholePieceOfTheVocabularyIsTakenThoughNoJoinsLeadToIt) {
  const auto model = model_of({"a", "b", "c", "bc", "abcb"});
  EXPECT_EQ(ids_of(model, "abcb"), (Ids{4}));
  EXPECT_EQ(ids_of(model, "abcba"), (Ids{0, 3, 1, 0})) << "inside a longer piece it is not reached";
}

// There is no list of merges: any two neighbours that spell a token together join.
TEST(RankModel, ATokenIsReachedByWhicheverHalvesMeet) {
  const auto model = model_of({"a", "b", "c", "ab", "abc", "bc"});
  EXPECT_EQ(ids_of(model, "abcc"), (Ids{4, 2})) << "ab, then abc";
  const auto other = model_of({"a", "b", "c", "bc", "abc", "ab"});
  EXPECT_EQ(ids_of(other, "abcc"), (Ids{4, 2})) << "bc, then abc";
}

TEST(RankModel, IdsMayBeginAnywhere) {
  Vocabulary vocabulary;
  for (const auto& [token, id] : {std::pair{"a", 1000}, {"b", 1001}, {"ab", 1002}, {"ba", 1003}}) {
    vocabulary.add(token, id, "test");
  }
  const RankModel model(std::move(vocabulary));
  EXPECT_EQ(ids_of(model, "abab"), (Ids{1002, 1002}));
  EXPECT_EQ(ids_of(model, "bab"), (Ids{1001, 1002}));
}

TEST(RankModel, ALongPieceIsMergedInOneGo) {
  const Ids ids = ids_of(model_of({"a", "aa", "aaaa"}), std::string(200003, 'a'));
  // 50,000 fours, a two and a one.
  EXPECT_EQ(ids.size(), 50002U);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 2), 50000);
  EXPECT_EQ((Ids{ids.end() - 2, ids.end()}), (Ids{1, 0}));
}

}  // namespace
}  // namespace tutti::text
