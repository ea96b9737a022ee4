#include "runtime/cache/block_pool.hpp"

#include <gtest/gtest.h>

#include <set>

#include "kernels/error.hpp"

namespace tutti {
namespace {

PageName name_of(std::int32_t id) {
  PageNames names(1);
  names.append(id);
  return names.full().front();
}

TEST(BlockPool, HandsOutEveryPageOnceAndTakesThemBack) {
  BlockPool pool(5);
  std::set<PageId> pages;
  while (pool.available() > 0) {
    EXPECT_TRUE(pages.insert(pool.allocate()).second);
  }
  EXPECT_EQ(pages, (std::set<PageId>{0, 1, 2, 3, 4}));
  EXPECT_THROW(pool.allocate(), CapacityError);
  pool.release(3);
  EXPECT_EQ(pool.allocate(), 3);
}

TEST(BlockPool, RefusesAPageThatIsNotInUse) {
  BlockPool pool(2);
  EXPECT_THROW(pool.release(0), ConfigError);
  EXPECT_THROW(pool.release(2), ConfigError);
  EXPECT_THROW(pool.release(-1), ConfigError);
  EXPECT_THROW(pool.share(0), ConfigError);
  EXPECT_THROW(pool.share(2), ConfigError);
}

TEST(BlockPool, APageBelongsToAllItsUsers) {
  BlockPool pool(2);
  const PageId page = pool.allocate();
  pool.name(page, name_of(7));
  pool.share(page);
  EXPECT_EQ(pool.users(page), 2);
  pool.release(page);
  EXPECT_EQ(pool.used(), 1);
  EXPECT_EQ(pool.cached(), 0);
  pool.release(page);
  EXPECT_EQ(pool.used(), 0);
  EXPECT_EQ(pool.cached(), 1);
  EXPECT_THROW(pool.release(page), ConfigError);
  pool.share(page);
  EXPECT_EQ(pool.users(page), 1);
  EXPECT_EQ(pool.cached(), 0);
}

TEST(BlockPool, EvictsTheLeastRecentlyUsedWhenNoPageIsFree) {
  BlockPool pool(4);
  for (std::int32_t id = 0; id < 3; ++id) {
    pool.name(pool.allocate(), name_of(id));
  }
  for (const PageId page : {1, 0, 2}) {
    pool.release(page);
  }
  pool.share(1);
  pool.release(1);  // now the last
  EXPECT_EQ(pool.available(), 4);
  EXPECT_EQ(pool.allocate(), 3) << "a free page goes before a cached one";
  EXPECT_EQ(pool.allocate(), 0);
  EXPECT_FALSE(pool.find(name_of(0)));
  EXPECT_EQ(pool.find(name_of(2)), 2);
  EXPECT_EQ(pool.allocate(), 2);
  EXPECT_EQ(pool.find(name_of(1)), 1);
  EXPECT_EQ(pool.allocate(), 1);
  EXPECT_FALSE(pool.find(name_of(1)));
  EXPECT_THROW(pool.allocate(), CapacityError);
}

TEST(BlockPool, TheFirstPageOfANameKeepsIt) {
  BlockPool pool(2);
  pool.name(pool.allocate(), name_of(7));
  pool.name(pool.allocate(), name_of(7));
  EXPECT_EQ(pool.find(name_of(7)), 0);
  pool.release(1);
  EXPECT_EQ(pool.cached(), 0) << "nobody could find it";
  EXPECT_EQ(pool.find(name_of(7)), 0);
}

TEST(PageNames, AreThoseOfAllTokensUpToThePagesEnd) {
  const auto names_of = [](const std::vector<std::int32_t>& ids) {
    PageNames names(2);
    names.append(ids);
    return names.full();
  };
  const auto names = names_of({1, 2, 3, 4, 5});
  ASSERT_EQ(names.size(), 2u);
  EXPECT_EQ(names_of({1, 2, 3, 4}), names);
  EXPECT_EQ(names_of({1, 2, 3, 5})[0], names[0]);
  EXPECT_NE(names_of({1, 2, 3, 5})[1], names[1]);
  EXPECT_NE(names_of({2, 1, 3, 4})[1], names[1]) << "the same page behind another";
  EXPECT_NE(names_of({3, 4})[0], names[1]);
  EXPECT_NE(names_of({1, 2, 1, 2})[0], names_of({1, 2, 1, 2})[1]);
}

TEST(PageNames, AreTheSameHoweverTheTokensCome) {
  PageNames whole(4);
  PageNames parts(4);
  std::vector<std::int32_t> ids;
  for (std::int32_t i = 0; i < 31; ++i) {
    ids.push_back(i * i);
    parts.append(i * i);
  }
  whole.append(ids);
  EXPECT_EQ(whole.full(), parts.full());
  EXPECT_EQ(whole.full().size(), 7u);
}

}  // namespace
}  // namespace tutti
