// What tests of device operations have in common: outputs that start as NaN, and comparisons that
// say enough in a log.
#pragma once

#include <cmath>
#include <cstdlib>
#include <functional>

#include "tests/support/gpu_fixture.hpp"

namespace tutti::testing {

// Numbers of tokens that products are tried with. TUTTI_OWN_KERNELS_ONLY in the environment leaves
// out those that are the library's: racecheck cannot follow its kernels' asynchronous copies.
inline std::vector<std::int64_t> token_counts(std::vector<std::int64_t> all) {
  constexpr std::int64_t kOwn = 16;
  if (std::getenv("TUTTI_OWN_KERNELS_ONLY") != nullptr) {
    std::erase_if(all, [](std::int64_t tokens) { return tokens > kOwn; });
  }
  return all;
}

// How often something is done again: seldom under racecheck, where a launch takes long.
inline int repeats(int usual) {
  return std::getenv("TUTTI_OWN_KERNELS_ONLY") != nullptr ? 2 : usual;
}

// Every bit set: NaN in all float types, -1 in i32.
inline GpuArray poisoned(Device& device, DType dtype, std::initializer_list<std::int64_t> shape) {
  const TensorView view(nullptr, dtype, Place::cuda, shape);
  const std::vector<std::byte> bytes(view.bytes(), std::byte{0xff});
  return to_gpu(device, dtype, shape, bytes.data());
}

// |found - wanted| <= tolerance(wanted) for all of them; the first five offences are printed.
inline void expect_near_all(const std::string& what, const std::vector<float>& found,
                            const std::vector<double>& wanted,
                            const std::function<double(double)>& tolerance) {
  ASSERT_EQ(found.size(), wanted.size()) << what;
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const bool near = std::abs(found[i] - wanted[i]) <= tolerance(wanted[i]);
    if (!near && wrong++ < 5) {
      ADD_FAILURE() << what << ": element " << i << " of " << found.size() << " is " << found[i]
                    << ", wanted " << wanted[i] << " within " << tolerance(wanted[i]);
    }
  }
  EXPECT_EQ(wrong, 0u) << what;
}

inline void expect_equal_all(const std::string& what, const std::vector<float>& found,
                             const std::vector<float>& wanted) {
  expect_near_all(what, found, {wanted.begin(), wanted.end()}, [](double) { return 0.0; });
}

}  // namespace tutti::testing
