#include "models/decoder_workspace.hpp"

#include <gtest/gtest.h>

#include "models/shapes.hpp"
#include "runtime/comm/local_communicator.hpp"
#include "tests/support/lazy_device.hpp"
#include "tests/support/random_model.hpp"

namespace tutti {
namespace {

// Every rank of every count up to `most`: the plan of the memory is what is then taken.
void expect_planned(const DecoderSpec& spec, int most, const ModelLimits& limits, DType dtype) {
  for (int ranks = 1; ranks <= most; ++ranks) {
    const ShardPlan plan(spec.shard_shape(), ranks);
    for (int rank = 0; rank < ranks; ++rank) {
      test::LazyDevice device;
      LocalCommunicator group;
      const DecoderWorkspace taken(device, group, spec, plan.share(rank), limits, dtype);
      EXPECT_EQ(decoder_workspace_bytes(spec, plan.share(rank), limits, dtype), taken.bytes())
          << "rank " << rank << " of " << ranks << ", " << name_of(dtype);
    }
  }
}

TEST(DecoderWorkspace, IsPlannedToTheByte) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const ModelLimits& limits :
         {ModelLimits{.max_step_tokens = 64, .max_logit_rows = 8},
          ModelLimits{.max_step_tokens = 1, .max_logit_rows = 1},
          ModelLimits{.max_step_tokens = 37, .max_logit_rows = 64, .max_context = 100}}) {
      expect_planned(test::small_spec(), 9, limits, dtype);
    }
  }
}

TEST(DecoderWorkspace, IsPlannedToTheByteForOtherShapes) {
  const ModelLimits limits{.max_step_tokens = 16, .max_logit_rows = 5};
  expect_planned(load_shape("smollm2-135m"), 9, limits, DType::bf16);
  DecoderSpec odd = test::small_spec();
  odd.vocabulary = 1001;
  odd.ffn = 77;
  odd.kv_heads = 9;
  expect_planned(odd, 5, limits, DType::f16);
  expect_planned(test::mixture_spec(), 9, limits, DType::bf16);
  expect_planned(load_shape("qwen1.5-moe-a2.7b"), 16, limits, DType::bf16);
}

TEST(DecoderWorkspace, BeginsWithNothingSeen) {
  test::LazyDevice device;
  LocalCommunicator group;
  const DecoderSpec spec = test::small_spec();
  const ShardPlan plan(spec.shard_shape(), 1);
  const DecoderWorkspace taken(device, group, spec, plan.share(0),
                               {.max_step_tokens = 8, .max_logit_rows = 3}, DType::bf16);
  device.synchronize();
  EXPECT_EQ(taken.tallies.view().elements(), 3 * 130);  // 259 halves, four at a time
  for (const Tensor* tensor : {&taken.tallies, &taken.biases, &taken.last_ids}) {
    for (std::int64_t i = 0; i < tensor->view().elements(); ++i) {
      EXPECT_EQ(tensor->data<std::int32_t>()[i], 0) << i;
    }
  }
}

}  // namespace
}  // namespace tutti
