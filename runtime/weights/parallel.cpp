#include "runtime/weights/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace tutti {

void run_parallel(std::size_t count, int threads,
                  const std::function<void(std::size_t worker, std::size_t i)>& work) {
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;  // guarded by mutex
  const auto run = [&](std::size_t worker) {
    try {
      for (std::size_t i = next++; i < count; i = next++) {
        work(worker, i);
      }
    } catch (...) {
      next = count;
      const std::lock_guard lock(mutex);
      if (!failure) {
        failure = std::current_exception();
      }
    }
  };
  const std::size_t wanted = std::min(count, static_cast<std::size_t>(std::max(threads, 1)));
  std::vector<std::thread> helpers;
  helpers.reserve(wanted);
  try {
    for (std::size_t worker = 1; worker < wanted; ++worker) {
      helpers.emplace_back(run, worker);
    }
  } catch (const std::exception&) {
    // No more threads to be had, or no memory for them: those that run do all the work.
  }
  run(0);
  for (std::thread& helper : helpers) {
    helper.join();
  }
  if (failure) {
    std::rethrow_exception(failure);
  }
}

}  // namespace tutti
