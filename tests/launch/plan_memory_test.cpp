#include "launch/plan_memory.hpp"

#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "models/decoder_workspace.hpp"
#include "models/shapes.hpp"
#include "runtime/comm/local_communicator.hpp"
#include "runtime/engine/slot_inputs.hpp"
#include "runtime/engine/step_inputs.hpp"
#include "tests/launch/plan_support.hpp"
#include "tests/support/lazy_device.hpp"
#include "tests/support/random_model.hpp"

namespace tutti {
namespace {

DecoderSpec short_smollm2() {
  DecoderSpec spec = load_shape("smollm2-135m");
  spec.layers = 2;
  spec.vocabulary = 4096;
  return spec;
}

// A model and its cache as Session makes them, of every rank, beside the plan of them.
void expect_as_allocated(const DecoderSpec& spec, int ranks, std::int64_t context,
                         std::int64_t batch, DType dtype) {
  const MemoryQuestion wanted{.spec = spec,
                              .matrix_bytes_each = static_cast<double>(size_of(dtype)),
                              .activations = DType::f32,
                              .kv = DType::f32,
                              .context = context,
                              .batch = batch,
                              .host = true};
  const ShardPlan plan(spec.shard_shape(), ranks);
  run_ranks(ranks, [&](int rank, Communicator& group, ControlPlane&) {
    const auto device = make_host_device(wanted.threads);
    const auto model =
        make_model(spec, plan, *device, group, RandomWeights(11, dtype), planned_limits(wanted));
    const RankMemory planned = rank_memory(wanted, plan, rank);
    const KvCache cache(*device, model->kv_layout(), static_cast<int>(planned.pages));
    EXPECT_EQ(planned.weights, model->weight_bytes()) << "rank " << rank << " of " << ranks;
    EXPECT_EQ(planned.workspace, model->workspace_bytes()) << "rank " << rank << " of " << ranks;
    EXPECT_EQ(planned.kv, cache.bytes()) << "rank " << rank << " of " << ranks;
    EXPECT_EQ(planned.page, model->kv_layout().page_bytes());
  });
}

TEST(PlanMemory, OfAHostIsWhatAModelAllocatesToTheByte) {
  for (int ranks = 1; ranks <= 5; ++ranks) {
    expect_as_allocated(test::small_spec(), ranks, 256, 3, DType::f32);
  }
  expect_as_allocated(test::small_spec(), 9, 100, 1, DType::bf16);
  expect_as_allocated(test::small_spec(), 2, 31, 70, DType::f16);  // more than 64 rows of logits
  expect_as_allocated(short_smollm2(), 2, 512, 2, DType::bf16);
  for (const int ranks : {1, 2, 4}) {
    expect_as_allocated(test::mixture_spec(), ranks, 100, 2, DType::bf16);
  }
}

// Workspace and inputs as a device holds them; its operations' own are a constant of the plan.
TEST(PlanMemory, OfAGpuIsWhatAModelAllocatesToTheByte) {
  const DecoderSpec spec = short_smollm2();
  for (const std::int64_t batch : {1, 100}) {
    const MemoryQuestion wanted{.spec = spec, .context = 1000, .batch = batch};
    const ModelLimits limits = planned_limits(wanted);
    EXPECT_EQ(limits.max_step_tokens, 4096);
    const ShardPlan plan(spec.shard_shape(), 4);
    test::LazyDevice device;
    LocalCommunicator group;
    const DecoderWorkspace workspace(device, group, spec, plan.share(1), limits, DType::bf16);
    const StepInputs inputs(device,
                            {.tokens = limits.max_step_tokens,
                             .sequences = limits.max_logit_rows,
                             .wanted = limits.max_logit_rows,
                             .max_blocks = 63},
                            true);
    const SlotInputs slots(device, limits.max_logit_rows, 1000);
    EXPECT_EQ(rank_memory(wanted, plan, 1).workspace,
              workspace.bytes() + inputs.bytes() + slots.bytes() + kOperationsWorkspace);
  }
}

// The run of README.md, section GPUs: two H200, 70B, bench latency's 256 tokens.
TEST(PlanMemory, TellsTheCacheThatTwoH200HadRoomFor) {
  MemoryQuestion wanted{.spec = load_shape("llama-2-70b"), .context = 4096};
  wanted.device_bytes = test::kind("h200").memory_bytes;
  const ShardPlan plan(wanted.spec.shard_shape(), 2);
  const RankMemory rank = rank_memory(wanted, plan, 0);
  EXPECT_NEAR(static_cast<double>(rank.weights), 68.98e9, 0.01e9);
  EXPECT_NEAR(static_cast<double>(rank.pages_that_fit()), 24547, 0.02 * 24547);
}

TEST(PlanMemory, SeventyBillionOnA100s) {
  MemoryQuestion wanted{.spec = load_shape("llama-2-70b"), .context = 4096};
  wanted.device_bytes = test::kind("a100-40").memory_bytes;
  EXPECT_EQ(smallest_count_that_fits(wanted), 4);
  wanted.device_bytes = test::kind("a100-80").memory_bytes;
  EXPECT_EQ(smallest_count_that_fits(wanted), 2);
  const ShardPlan three(wanted.spec.shard_shape(), 3);
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_TRUE(rank_memory(wanted, three, rank).fits()) << rank;
  }
  EXPECT_LT(three.imbalance(), 0.01);
}

TEST(PlanMemory, TheBudgetIsFilledToThePage) {
  MemoryQuestion wanted{.spec = load_shape("llama-2-7b"), .context = 4096, .batch = 4};
  wanted.device_bytes = test::kind("a100-40").memory_bytes;
  const ShardPlan plan(wanted.spec.shard_shape(), 1);
  const RankMemory rank = rank_memory(wanted, plan, 0);
  const auto pages = static_cast<std::uint64_t>(rank.pages_that_fit());
  EXPECT_LE(rank.weights + rank.workspace + pages * rank.page, rank.budget);
  EXPECT_GT(rank.weights + rank.workspace + (pages + 1) * rank.page, rank.budget);
}

TEST(PlanMemory, ADeviceSmallerThanItsReservesHoldsNothing) {
  MemoryQuestion wanted{.spec = test::small_spec(), .context = 256};
  wanted.device_bytes = 1 << 20;
  const RankMemory rank = rank_memory(wanted, ShardPlan(wanted.spec.shard_shape(), 1), 0);
  EXPECT_EQ(rank.budget, 0u);
  EXPECT_EQ(rank.pages_that_fit(), 0);
  EXPECT_FALSE(rank.fits());
  EXPECT_EQ(smallest_count_that_fits(wanted), 0);
}

}  // namespace
}  // namespace tutti
