// Mail between threads that stand for ranks.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/comm/mail.hpp"

namespace tutti::test {

class ThreadPost {
 public:
  explicit ThreadPost(int ranks) {
    for (int rank = 0; rank < ranks; ++rank) {
      boxes_.push_back(std::make_unique<Box>(*this, rank));
    }
  }
  Mail& mail(int rank) { return *boxes_.at(static_cast<std::size_t>(rank)); }

 private:
  struct Box final : Mail {
    Box(ThreadPost& post_in, int rank_in) : office(post_in), rank(rank_in) {}
    void post(int to, std::string text) override {
      Box& other = *office.boxes_.at(static_cast<std::size_t>(to));
      const std::lock_guard lock(other.mutex);
      other.letters.push_back({.from = rank, .text = std::move(text)});
    }
    std::optional<Letter> look() override {
      const std::lock_guard lock(mutex);
      if (letters.empty()) {
        return std::nullopt;
      }
      std::optional<Letter> letter(std::move(letters.front()));
      letters.pop_front();
      return letter;
    }
    ThreadPost& office;
    int rank;
    std::mutex mutex;
    std::deque<Letter> letters;
  };

  std::vector<std::unique_ptr<Box>> boxes_;
};

}  // namespace tutti::test
