#include "runtime/weights/import_queue.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace tutti {
namespace {

TEST(ImportQueueTest, gives_the_largest_whose_memory_is_free) {
  ImportQueue queue({{0, 10, 0}, {1, 100, 100}, {2, 90, 90}, {3, 50, 0}}, 150);
  const auto first = queue.next();
  EXPECT_EQ(first->index, 1u);
  EXPECT_EQ(queue.next()->index, 3u);  // 2 would hold too much beside 1
  queue.done(*first);
  EXPECT_EQ(queue.next()->index, 2u);
  EXPECT_EQ(queue.next()->index, 0u);
  EXPECT_FALSE(queue.next().has_value());
}

TEST(ImportQueueTest, gives_a_task_beyond_the_limit_alone) {
  ImportQueue queue({{0, 10, 1000}, {1, 5, 1000}}, 1);
  const auto first = queue.next();
  EXPECT_EQ(first->index, 0u);
  std::thread other([&] { queue.done(*first); });
  EXPECT_EQ(queue.next()->index, 1u);  // waits for the other thread where it comes first
  other.join();
}

TEST(ImportQueueTest, a_stop_ends_those_who_wait) {
  ImportQueue queue({{0, 10, 10}, {1, 5, 10}}, 1);
  EXPECT_TRUE(queue.next().has_value());
  std::thread waiting([&] { EXPECT_FALSE(queue.next().has_value()); });
  queue.stop();
  waiting.join();
}

}  // namespace
}  // namespace tutti
