// Which kernel a step of attention goes to, and how it is laid out over blocks. kExtras: with a
// window, a soft cap or slopes.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/attention.hpp"
#include "kernels/attention_decode.cuh"
#include "kernels/attention_plain.cuh"
#include "kernels/attention_prefill.cuh"

namespace tutti {

// What other kernels are compiled for, so that plain attention keeps its registers.
inline bool has_extras(const AttentionArgs& args) {
  return args.window > 0 || args.softcap > 0 || args.slopes.dims != 0;
}

template <typename T>
PagedAttention<T> paged_attention(const AttentionArgs& args) {
  const auto ints = [](const TensorView& view) { return static_cast<const int*>(view.data); };
  return {.q = static_cast<const T*>(args.q.data),
          .q_stride = args.q.row_stride,
          .k_pages = static_cast<const T*>(args.k_pages.data),
          .v_pages = static_cast<const T*>(args.v_pages.data),
          .page_stride = args.k_pages.row_stride,
          .pages = args.k_pages.shape[0],
          .query_begin = ints(args.query_begin),
          .context_length = ints(args.context_length),
          .block_table = ints(args.block_table),
          .table_stride = args.block_table.row_stride,
          .kv_of_q = ints(args.kv_of_q),
          .y = static_cast<T*>(args.y.data),
          .y_stride = args.y.row_stride,
          .tokens = static_cast<int>(args.q.rows()),
          .sequences = static_cast<int>(args.context_length.rows()),
          .q_heads = static_cast<int>(args.kv_of_q.rows()),
          .head_dim = args.head_dim,
          .page_shift = std::countr_zero(static_cast<std::uint64_t>(args.k_pages.shape[2])),
          .scale = args.scale,
          .scale_log2 = (has_extras(args) ? 1.0f : args.scale) * 1.44269504f,
          .window = args.window,
          .softcap = args.softcap,
          .slopes = args.slopes.dims == 0 ? nullptr : static_cast<const float*>(args.slopes.data)};
}

// Rows of 16-byte pieces, as copies into shared memory want them.
inline bool in_pieces(const TensorView& view) {
  return reinterpret_cast<std::uintptr_t>(view.data) % 16 == 0 && view.row_stride % 8 == 0;
}

inline bool fits_tensor_cores(const AttentionArgs& args) {
  return args.head_dim % 8 == 0 && args.scale > 0 && args.kv_of_q.rows() <= kAttentionMaxHeads &&
         args.context_length.rows() <= 65535 && in_pieces(args.q) && in_pieces(args.k_pages) &&
         in_pieces(args.v_pages) && in_pieces(args.y);
}

template <typename T, bool kExtras>
void attend_without_tiles(CudaContext& context, const Exec& exec, const AttentionArgs& args) {
  const dim3 grid(static_cast<unsigned>(args.q.rows()), static_cast<unsigned>(args.kv_of_q.rows()));
  launch(context, exec, "attention", attend_plain<T, kExtras>, grid, dim3(kPlainWarps * 32), 0,
         paged_attention<T>(args));
}

// How often contexts are split, and where the parts' sums lie in the workspace.
inline DecodeSplits plan_splits(const CudaContext& context, const AttentionArgs& args) {
  const std::int64_t sequences = args.context_length.rows();
  const std::int64_t units = sequences * args.k_pages.shape[1];
  const std::int64_t rows = sequences * args.kv_of_q.rows();
  DecodeSplits plan;
  plan.counters = context.counters;
  if (units > CudaContext::kCounters) {
    return plan;
  }
  const auto part = static_cast<std::int64_t>(sizeof(float2)) + 4 * args.head_dim;
  const std::int64_t room = static_cast<std::int64_t>(context.workspace_bytes) / (rows * part);
  // One block a multiprocessor: all start at once, so that the next kernel may, too.
  const std::int64_t most =
      args.window > 0 ? std::min<std::int64_t>(args.most_context, args.window + kDecodeKeys)
                      : args.most_context;
  plan.splits = decode_splits(units, context.multiprocessors, most);
  plan.splits =
      static_cast<int>(std::clamp<std::int64_t>(plan.splits, 1, std::max<std::int64_t>(1, room)));
  plan.sums = reinterpret_cast<float*>(context.workspace);
  plan.weights = reinterpret_cast<float2*>(plan.sums + rows * plan.splits * args.head_dim);
  return plan;
}

template <typename T, int kDim, int kWarps, bool kExtras>
void attend_decoding_with(CudaContext& context, const Exec& exec, const AttentionArgs& args,
                          const DecodeSplits& splits) {
  constexpr std::size_t kBytes = DecodeLayout<T, kDim, kWarps>::kBytes;
  allow_shared_memory(attend_decode<T, kDim, kWarps, kExtras>, kBytes);
  const dim3 grid(static_cast<unsigned>(splits.splits),
                  static_cast<unsigned>(args.k_pages.shape[1]),
                  static_cast<unsigned>(args.context_length.rows()));
  launch(context, exec, "attention", attend_decode<T, kDim, kWarps, kExtras>, grid,
         dim3(kWarps * 32), kBytes, paged_attention<T>(args), splits);
}

template <typename T, int kDim, bool kExtras>
void attend_decoding(CudaContext& context, const Exec& exec, const AttentionArgs& args) {
  const DecodeSplits splits = plan_splits(context, args);
  const std::int64_t blocks = splits.splits * args.k_pages.shape[1] * args.context_length.rows();
  if (blocks <= context.multiprocessors) {
    attend_decoding_with<T, kDim, kDecodeMostWarps, kExtras>(context, exec, args, splits);
  } else {
    attend_decoding_with<T, kDim, kDecodeFewWarps, kExtras>(context, exec, args, splits);
  }
}

template <typename T, int kDim, bool kExtras>
void attend_prompts(CudaContext& context, const Exec& exec, const AttentionArgs& args,
                    int least_tokens) {
  using Layout = PrefillLayout<T, kDim>;
  allow_shared_memory(attend_prefill<T, kDim, kExtras>, Layout::kBytes);
  const std::int64_t kv_heads = args.k_pages.shape[1];
  const std::int64_t group = (args.kv_of_q.rows() + kv_heads - 1) / kv_heads;
  const std::int64_t tiles = (args.most_queries * group + Layout::kRows - 1) / Layout::kRows;
  const dim3 grid(static_cast<unsigned>(kv_heads),
                  static_cast<unsigned>(std::min<std::int64_t>(tiles, 65535)),
                  static_cast<unsigned>(args.context_length.rows()));
  launch(context, exec, "attention", attend_prefill<T, kDim, kExtras>, grid,
         dim3(Layout::kWarps * 32), Layout::kBytes, paged_attention<T>(args), least_tokens);
}

// Sequences of one token, as most are where prompts are mixed with decoding, go with the kernel
// that splits contexts.
template <typename T, int kDim, bool kExtras>
void attend_in_tiles(CudaContext& context, const Exec& exec, const AttentionArgs& args) {
  if (PrefillLayout<T, kDim>::kBytes > context.shared_bytes ||
      DecodeLayout<T, kDim, kDecodeMostWarps>::kBytes > context.shared_bytes) {
    return attend_without_tiles<T, kExtras>(context, exec, args);
  }
  const bool decoding = args.most_queries == 1 || args.context_length.rows() > 1;
  if (args.most_queries > 1) {
    attend_prompts<T, kDim, kExtras>(context, exec, args, decoding ? 2 : 1);
  }
  if (decoding) {
    attend_decoding<T, kDim, kExtras>(context, exec, args);
  }
}

template <typename T, bool kExtras>
void attend(CudaContext& context, const Exec& exec, const AttentionArgs& args) {
  if constexpr (sizeof(T) == 2) {
    if (fits_tensor_cores(args)) {
      if (args.head_dim <= 64) {
        return attend_in_tiles<T, 64, kExtras>(context, exec, args);
      }
      if (args.head_dim <= 96) {
        return attend_in_tiles<T, 96, kExtras>(context, exec, args);
      }
      if (args.head_dim <= 128) {
        return attend_in_tiles<T, 128, kExtras>(context, exec, args);
      }
      return attend_in_tiles<T, 256, kExtras>(context, exec, args);
    }
  }
  attend_without_tiles<T, kExtras>(context, exec, args);
}

// Attention with a window, a soft cap or slopes: attention_extras.cu.
void attend_with_extras(CudaContext& context, const Exec& exec, const AttentionArgs& args);

}  // namespace tutti
