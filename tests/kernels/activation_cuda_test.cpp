#include <gtest/gtest.h>

#include "kernels/activation.hpp"
#include "tests/kernels/activation_formula.hpp"
#include "tests/kernels/kernel_fixture.hpp"
#include "tests/support/gpu_compare.hpp"

namespace tutti {
namespace {

using ActivationCudaTest = testing::GpuTest;

TEST_F(ActivationCudaTest, AgreesWithTheFormula) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const Activation kind : testing::kActivations) {
      for (const auto& [tokens, columns] :
           {std::pair<std::int64_t, std::int64_t>{1, 11008}, {16, 1536}, {3, 77}, {70000, 8}}) {
        std::vector<float> x = testing::random_floats(tokens * columns, 1);
        for (float& value : x) {
          value *= 6;
        }
        x = testing::rounded(dtype, std::move(x));
        const testing::GpuArray at = testing::to_gpu(device(), dtype, {tokens, columns}, x);
        activation(exec(), {.x = at.view, .kind = kind});
        const std::vector<float> found = testing::floats_of(device(), at.view);
        std::size_t wrong = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
          const double wanted = testing::activated(kind, double{x[i]});
          // erfcf is good to 5 ulp; then the type's rounding, f16's with 2^-24 between its
          // smallest.
          const double tolerance = 2 * testing::activation_tolerance(kind, double{x[i]}, wanted) +
                                   testing::unit_roundoff(dtype) * std::abs(wanted) +
                                   (dtype == DType::f16 ? 0x1p-25 : 0.0);
          if (!(std::abs(found[i] - wanted) <= tolerance) && wrong++ < 5) {
            ADD_FAILURE() << name_of(dtype) << " activation " << int(kind) << " of " << x[i]
                          << " is " << found[i] << ", wanted " << wanted << " within " << tolerance;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace tutti
