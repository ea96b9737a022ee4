// How fast a model will run on a number of ranks, by arithmetic: no device is asked.
//
// A step that decodes one token of each of n sequences takes, on the rank that holds most,
//
//   products  matrices read by few tokens: bytes / (read_gbs * share), share by n (up to 8, up to
//             16: own kernels). Beyond, the library's: sqrt(r^2 + f^2) of reading
//             r = bytes / (read_gbs * many_tokens_share) and computing f = 2 * parameters * n /
//             tflops, which slow each other down where they are alike.
//   cache     keys and values of all sequences / min(read_gbs * attention_share, attention_gbs)
//   small     norms, rope and the gate pass over activations: their bytes / read_gbs
//   starts    layers * layer_us + step_us: what lies between the products of a layer however
//             fast memory is, and sampling; in mixtures layers * experts_us for routing, for the
//             sum of the experts and for products that are too small to read at full speed
//   sums      2 * layers + 1 all-reduces of [n, hidden] and a gather of the logits
//
// An all-reduce of up to 16 tokens within a node joined by NVLink is Tutti's own kernel:
//   sum_us + sum_us_per_1024 * hidden / 1024 + sum_us_per_token * (n - 1) +
//   sum_us_per_rank * (ranks - 2), of more than two ranks also many_sum_us_per_1024 * hidden /
//   1024: up to half of it in the kernel, the rest is ranks that wait for the slowest
// any other one is NCCL's: nccl_us + 2 (ranks - 1) / ranks * bytes / link_gbs (the ring of
// Patarasuk and Yuan 2009); over nodes network_us and network_gbs instead.
//
// A prompt is computed in steps of up to 4096 tokens (512 on hosts): products and sums as above,
// with attention's 4 * head size * query heads * (half of the prompt) FLOP a token at
// attention_flop_share of tflops.
//
// Every constant has a name, a value and a source (plan_speed.cpp). Those of the device's kind come
// from launch/gpus.json, the others were fitted to docs/benchmarks.md, section GPUs; docs/plan.md
// has predicted beside measured: off by up to 12 % on the figures that it was fitted to.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "models/decoder_spec.hpp"

namespace tutti {

struct SpeedConstants {
  double read_gbs = 0;  // 0: not known, and no prediction
  double tflops = 0;
  double link_gbs = 20;
  double nccl_us = 9.5;
  double network_gbs = 20;
  double network_us = 30;
  double few_tokens_share = 0.97;
  double some_tokens_share = 0.90;
  double many_tokens_share = 0.90;
  double attention_share = 0.88;
  double attention_gbs = 3200;
  double attention_flop_share = 0.45;
  double layer_us = 7.8;
  double experts_us = 15.0;
  double step_us = 20;
  double first_token_us = 800;
  double sum_us = 1.5;
  double sum_us_per_1024 = 0.575;
  double sum_us_per_token = 0.05;
  double sum_us_per_rank = 0.3;
  double many_sum_us_per_1024 = 1.0;

  bool known() const { return read_gbs > 0 && tflops > 0; }
};

struct SpeedConstantInfo {
  std::string_view name;
  double SpeedConstants::*member;
  std::string_view unit;
  std::string_view meaning;
  std::string_view source;
};
std::span<const SpeedConstantInfo> speed_constants();
// "name=value". Errors: UsageError for an unknown name (suggests the nearest) or a value that is
// not a number from 0 to 1e9 (a share: above 0, at most 1).
void set_speed_constant(SpeedConstants& constants, const std::string& assignment);

// How the ranks of a group reach each other.
enum class Link : std::uint8_t { nvlink, plain, network };

struct SpeedCase {
  DecoderSpec spec;
  double matrix_bytes_each = 2;  // of one parameter
  double kv_bytes_each = 2;
  double activation_bytes_each = 2;
  std::int64_t batch = 1;  // sequences that run together
  std::int64_t prompt_tokens = 128;
  std::int64_t new_tokens = 128;
  std::int64_t step_tokens = 4096;  // of a prompt, at most
  SpeedConstants constants;
};

// Seconds of one step, by cause.
struct StepTime {
  double products = 0;
  double cache = 0;
  double small = 0;
  double starts = 0;
  double sums = 0;
  double total() const { return products + cache + small + starts + sums; }
};

struct SpeedPrediction {
  StepTime step;                 // decode, in the middle of the answers
  double prompt_seconds = 0;     // until all sequences have their first token
  double decode_per_second = 0;  // tokens of all sequences
  double whole_per_second = 0;   // answers' tokens of all sequences, their prompts' time included
};

// One all-reduce of [tokens, hidden], seconds.
double sum_seconds(const SpeedCase& wanted, int ranks, Link link, std::int64_t tokens);
StepTime decode_step(const SpeedCase& wanted, const ShardPlan& plan, Link link);
SpeedPrediction predict(const SpeedCase& wanted, const ShardPlan& plan, Link link);

}  // namespace tutti
