// What the metadata of GGUF files become: keys of old and new converters, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/error.hpp"
#include "models/registry.hpp"
#include "tests/support/gguf_file.hpp"
#include "tests/support/scratch_folder.hpp"

namespace tutti {
namespace {

using test::GgufFile;
using test::packed;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::uint32_t kF32 = 0;

// What every family wants; heads of 8.
GgufFile plain(const std::string& architecture, std::uint32_t layers = 2,
               std::uint32_t context = 8192) {
  GgufFile file;
  file.text("general.architecture", architecture);
  file.u32(architecture + ".block_count", layers);
  file.u32(architecture + ".embedding_length", 16);
  file.u32(architecture + ".feed_forward_length", 24);
  file.u32(architecture + ".attention.head_count", 2);
  file.u32(architecture + ".context_length", context);
  file.f32(architecture + ".attention.layer_norm_epsilon", 1e-5f);
  file.tensor("token_embd.weight", kF32, {4, 16}, std::string(256, '\0'));
  return file;
}

DecoderSpec read(const GgufFile& file) {
  const test::ScratchFolder folder;
  return spec_of(*open_source(folder.write("m.gguf", file.bytes())));
}

void expect_refusal(const GgufFile& file, const std::string& text) {
  EXPECT_THAT([&] { read(file); }, ThrowsMessage<ModelFileError>(HasSubstr(text)));
}

GgufFile factors(GgufFile file, const std::string& name, const std::vector<float>& values) {
  std::string bytes;
  for (const float value : values) {
    bytes += packed(value);
  }
  return file.tensor(name, kF32, {values.size()}, bytes);
}

TEST(GgufConfig, LinearScalingIsSpelledInTwoWays) {
  const RopeScaling scaling = read(plain("llama")
                                       .text("llama.rope.scaling.type", "linear")
                                       .f32("llama.rope.scaling.factor", 4))
                                  .rope_scaling;
  EXPECT_EQ(scaling.kind, "linear");
  EXPECT_EQ(scaling.factor, 4);
  EXPECT_EQ(read(plain("llama").f32("llama.rope.scale_linear", 4)).rope_scaling, scaling);
  EXPECT_EQ(read(plain("llama").f32("llama.rope.scale_linear", 1)).rope_scaling, RopeScaling{});
  expect_refusal(plain("llama").text("llama.rope.scaling.type", "linear"), "rope.scaling.factor");
}

TEST(GgufConfig, YarnSaysMoreThanItsFactor) {
  const auto yarn = [] {
    return plain("qwen2")
        .text("qwen2.rope.scaling.type", "yarn")
        .f32("qwen2.rope.scaling.factor", 4)
        .u32("qwen2.rope.scaling.original_context_length", 2048);
  };
  const RopeScaling usual = read(yarn()).rope_scaling;
  EXPECT_EQ(usual.original_context, 2048);
  EXPECT_EQ(usual.beta_fast, 32);
  EXPECT_NEAR(usual.attention_factor, 1.1386, 1e-4);  // 0.1 ln 4 + 1
  const RopeScaling said = read(yarn()
                                    .f32("qwen2.rope.scaling.yarn_beta_fast", 16)
                                    .f32("qwen2.rope.scaling.yarn_beta_slow", 2)
                                    .f32("qwen2.rope.scaling.yarn_attn_factor", 1.5f))
                               .rope_scaling;
  EXPECT_EQ(said.beta_fast, 16);
  EXPECT_EQ(said.beta_slow, 2);
  EXPECT_EQ(said.attention_factor, 1.5);
  expect_refusal(yarn().f32("qwen2.rope.scaling.yarn_log_multiplier", 1), "yarn_log_multiplier");
}

// It was once read as no scaling at all.
TEST(GgufConfig, LongRopeWithoutItsFactorsIsRefused) {
  const GgufFile bare = plain("llama").text("llama.rope.scaling.type", "longrope");
  expect_refusal(bare, "rope_factors_short.weight");
  const GgufFile one = factors(bare, "rope_factors_short.weight", {1, 2, 3, 4});
  expect_refusal(one, "rope_factors_long.weight");
  EXPECT_THAT(
      read(factors(one, "rope_factors_long.weight", {5, 6, 7, 8})).rope_scaling.long_factors,
      ElementsAre(5, 6, 7, 8));
}

TEST(GgufConfig, BiasesAreWhereTheirTensorsAre) {
  EXPECT_FALSE(read(plain("granite")).qkv_bias);
  const DecoderSpec spec =
      read(plain("granite").tensor("blk.0.attn_q.bias", kF32, {16}, std::string(64, '\0')));
  EXPECT_TRUE(spec.qkv_bias);
  EXPECT_FALSE(spec.o_bias);
}

// Granite 4 without state-space layers and experts says what its kind does, layer by layer.
TEST(GgufConfig, GraniteFourIsDense) {
  const auto heads = [](std::uint32_t first, std::uint32_t second) {
    return plain("granite")
        .key("granite.attention.head_count_kv", GgufFile::kArray,
             GgufFile::array_value(GgufFile::kU32, 2, packed(first) + packed(second)))
        .u32("granite.expert_count", 0)
        .u32("granite.ssm.state_size", 128);
  };
  EXPECT_EQ(read(heads(1, 1)).kv_heads, 1);
  expect_refusal(heads(0, 1), "head_count_kv");
  expect_refusal(heads(1, 1).u32("granite.expert_shared_feed_forward_length", 25),
                 "expert_shared_feed_forward_length");
  const std::string no("\0", 1);
  expect_refusal(heads(1, 1).key("granite.rope.scaling.finetuned", GgufFile::kBool, no),
                 "rope.scaling.finetuned");
}

TEST(GgufConfig, WindowsThatOldFilesDoNotMention) {
  EXPECT_EQ(read(plain("phi3", 2, 4096)).window, 2047);
  EXPECT_EQ(read(plain("phi3", 2, 4096).u32("phi3.attention.sliding_window", 0)).window, 0);
  EXPECT_EQ(read(plain("phi3")).window, 0);
  const DecoderSpec gemma = read(plain("gemma2"));
  EXPECT_EQ(gemma.window, 4096);
  EXPECT_EQ(gemma.full_attention_every, 2);
  EXPECT_EQ(read(plain("gemma3").u32("gemma3.attention.sliding_window", 512)).full_attention_every,
            6);
}

// No key says them; the families' own are known.
TEST(GgufConfig, Activations) {
  EXPECT_EQ(read(plain("falcon").text("falcon.tensor_data_layout", "jploski")).activation,
            Activation::gelu_erf);
  EXPECT_EQ(read(plain("mpt").f32("mpt.attention.max_alibi_bias", 8)).activation,
            Activation::gelu_erf);
  EXPECT_EQ(read(plain("gptneox", 32)).activation, Activation::gelu_erf);
  EXPECT_EQ(read(plain("gptneox", 44)).activation, Activation::gelu_tanh);
  EXPECT_EQ(read(plain("gpt2")).activation, Activation::gelu_tanh);
  EXPECT_EQ(read(plain("starcoder2")).activation, Activation::gelu_tanh);
}

TEST(GgufConfig, WhatWouldChangeAnswersIsRefusedByName) {
  const std::string no("\0", 1);
  expect_refusal(plain("llama").key("llama.attention.causal", GgufFile::kBool, no), "causal");
  expect_refusal(plain("falcon").text("falcon.tensor_data_layout", "other"), "tensor_data_layout");
  expect_refusal(plain("mpt").f32("mpt.attention.clamp_kqv", 6), "clamp_kqv");
  expect_refusal(plain("olmo2").u32("olmo2.attention.sliding_window", 4096), "sliding_window");
  expect_refusal(plain("qwen3").u32("qwen3.pooling_type", 3), "pooling_type");
}

}  // namespace
}  // namespace tutti
