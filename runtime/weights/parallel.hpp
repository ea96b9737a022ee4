// A handful of threads over a list of pieces: readers, digests, imports.
#pragma once

#include <cstddef>
#include <functional>

namespace tutti {

// Calls work(worker, i) once for each i in [0, count), on at most `threads` threads, `worker` in
// [0, threads). Each takes the next i; with one thread they come in order, on the caller's. The
// first exception ends the rest and is thrown again here. Fewer threads where the system gives
// fewer.
void run_parallel(std::size_t count, int threads,
                  const std::function<void(std::size_t worker, std::size_t i)>& work);

}  // namespace tutti
