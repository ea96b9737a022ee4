#include "kernels/attention.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <vector>

#include "kernels/attention_block.hpp"
#include "kernels/check.hpp"
#include "kernels/device_ops.hpp"

namespace tutti {
namespace {

// Query heads [heads.begin, heads.end) read KV head kv_head.
struct HeadGroup {
  Range heads;
  int kv_head = 0;
};

// One unit of work for a thread: at most kAttentionRows rows.
struct WorkItem {
  std::int64_t sequence = 0;
  Range tokens;  // of the step
  HeadGroup group;
  std::int64_t context = 0;   // positions up to the last token
  std::int64_t attended = 0;  // of these, those within its window
  std::int64_t cost() const { return tokens.size() * group.heads.size() * attended; }
};

std::int32_t at(const TensorView& view, std::int64_t i) {
  return *view.row<std::int32_t>(i);
}

// Neighbouring query heads of the same KV head, at most `most` together.
std::vector<HeadGroup> group_heads(const TensorView& kv_of_q, std::int64_t most) {
  std::vector<HeadGroup> groups;
  for (std::int64_t h = 0; h < kv_of_q.rows(); ++h) {
    const int kv_head = at(kv_of_q, h);
    if (!groups.empty() && groups.back().kv_head == kv_head && groups.back().heads.size() < most) {
      groups.back().heads.end = h + 1;
    } else {
      groups.push_back({.heads = {h, h + 1}, .kv_head = kv_head});
    }
  }
  return groups;
}

// All work of the step, the most expensive first.
std::vector<WorkItem> list_work(const AttentionArgs& args, std::int64_t most_heads) {
  std::vector<WorkItem> items;
  const std::vector<HeadGroup> groups = group_heads(args.kv_of_q, most_heads);
  for (std::int64_t s = 0; s < args.context_length.rows(); ++s) {
    const Range all = {at(args.query_begin, s), at(args.query_begin, s + 1)};
    const std::int64_t first_position = at(args.context_length, s) - all.size();
    for (const HeadGroup& group : groups) {
      const std::int64_t step = std::max<std::int64_t>(1, kAttentionRows / group.heads.size());
      for (std::int64_t t = all.begin; t < all.end; t += step) {
        const Range tokens = {t, std::min(t + step, all.end)};
        const std::int64_t context = first_position + (tokens.end - all.begin);
        items.push_back(
            {.sequence = s,
             .tokens = tokens,
             .group = group,
             .context = context,
             .attended = args.window > 0 ? std::min<std::int64_t>(context, args.window) : context});
      }
    }
  }
  std::stable_sort(items.begin(), items.end(),
                   [](const WorkItem& a, const WorkItem& b) { return a.cost() > b.cost(); });
  return items;
}

void attend(const AttentionArgs& args, const WorkItem& work) {
  const std::int64_t page_size = args.k_pages.shape[2];
  const std::int64_t head_offset = work.group.kv_head * page_size * args.head_dim;
  AttentionItem item;
  item.rows = 0;
  item.window = args.window > 0 ? args.window : std::numeric_limits<std::int64_t>::max();
  item.softcap = args.softcap;
  item.sloped = args.slopes.dims != 0;
  for (std::int64_t t = work.tokens.begin; t < work.tokens.end; ++t) {
    for (std::int64_t h = work.group.heads.begin; h < work.group.heads.end; ++h) {
      item.query[item.rows] = args.q.row<float>(t) + h * args.head_dim;
      item.y[item.rows] = args.y.row<float>(t) + h * args.head_dim;
      item.limit[item.rows] = work.context - (work.tokens.end - 1 - t);
      item.slope[item.rows] = item.sloped ? *args.slopes.row<float>(h) : 0.0f;
      ++item.rows;
    }
  }
  item.head_dim = args.head_dim;
  item.scale = args.scale;
  item.k_pages = static_cast<const float*>(args.k_pages.data) + head_offset;
  item.v_pages = static_cast<const float*>(args.v_pages.data) + head_offset;
  item.page_stride = args.k_pages.row_stride;
  item.blocks = args.block_table.row<std::int32_t>(work.sequence);
  item.page_shift = std::countr_zero(static_cast<std::uint64_t>(page_size));
  multiversion<AttendItem>(static_cast<const AttentionItem*>(&item));
}

void check_pages(const Exec& exec, const AttentionArgs& args) {
  constexpr const char* op = "attention";
  check_view(exec, op, "k_pages", args.k_pages, args.q.dtype,
             {kAnyExtent, kAnyExtent, kAnyExtent, args.head_dim});
  check_view(exec, op, "v_pages", args.v_pages, args.q.dtype,
             {args.k_pages.shape[0], args.k_pages.shape[1], args.k_pages.shape[2], args.head_dim});
  check_that(args.k_pages.row_stride == args.v_pages.row_stride, op,
             "pages of k lie {} elements apart, those of v {}, wanted the same",
             args.k_pages.row_stride, args.v_pages.row_stride);
  check_that(std::has_single_bit(static_cast<std::uint64_t>(args.k_pages.shape[2])), op,
             "the page size is {}, wanted a power of two", args.k_pages.shape[2]);
}

void check_kv_map(const AttentionArgs& args) {
  constexpr const char* op = "attention";
  for (std::int64_t h = 0; h < args.kv_of_q.rows(); ++h) {
    const int kv_head = at(args.kv_of_q, h);
    check_that(kv_head >= 0 && kv_head < args.k_pages.shape[1], op,
               "query head {} reads KV head {}, wanted one in [0, {})", h, kv_head,
               args.k_pages.shape[1]);
  }
}

// The plan must stay within the tokens, the block table and the pages.
void check_sequences(const AttentionArgs& args) {
  constexpr const char* op = "attention";
  const std::int64_t page_size = args.k_pages.shape[2];
  const std::int64_t pages = args.k_pages.shape[0];
  for (std::int64_t s = 0; s < args.context_length.rows(); ++s) {
    const Range tokens = {at(args.query_begin, s), at(args.query_begin, s + 1)};
    const std::int64_t context = at(args.context_length, s);
    const std::int64_t most = args.block_table.shape[1] * page_size;
    check_that(tokens.begin >= 0 && tokens.size() >= 0 && tokens.end <= args.q.rows(), op,
               "sequence {} has tokens {}..{}, wanted a range within {}", s, tokens.begin,
               tokens.end, args.q.rows());
    check_that(
        context >= tokens.size() && context <= most, op,
        "sequence {} has context length {}, wanted {}..{} ({} tokens in this step, {} blocks "
        "of {})",
        s, context, tokens.size(), most, tokens.size(), args.block_table.shape[1], page_size);
    if (tokens.empty()) {
      continue;
    }
    const std::int32_t* blocks = args.block_table.row<std::int32_t>(s);
    const std::int64_t first = context - tokens.size() + 1 - args.window;
    const std::int64_t before = args.window > 0 ? std::max<std::int64_t>(first, 0) : 0;
    for (std::int64_t b = before / page_size; b * page_size < context; ++b) {
      check_that(blocks[b] >= 0 && blocks[b] < pages, op,
                 "block {} of sequence {} is page {}, wanted one in [0, {})", b, s, blocks[b],
                 pages);
    }
  }
}

void check_attention(const Exec& exec, const AttentionArgs& args) {
  constexpr const char* op = "attention";
  check_that(args.head_dim > 0 && args.head_dim <= kAttentionMaxHeadDim, op,
             "head_dim is {}, wanted 1..{}", args.head_dim, kAttentionMaxHeadDim);
  check_view(exec, op, "kv_of_q", args.kv_of_q, DType::i32, {kAnyExtent});
  const std::int64_t width = args.kv_of_q.rows() * args.head_dim;
  check_activation(exec, op, "q", args.q, {kAnyExtent, width});
  check_view(exec, op, "y", args.y, args.q.dtype, {args.q.rows(), width});
  check_view(exec, op, "context_length", args.context_length, DType::i32, {kAnyExtent});
  const std::int64_t sequences = args.context_length.rows();
  check_view(exec, op, "query_begin", args.query_begin, DType::i32, {sequences + 1});
  check_view(exec, op, "block_table", args.block_table, DType::i32, {sequences, kAnyExtent});
  check_that(args.window >= 0 && args.softcap >= 0, op,
             "window is {} and softcap {}, wanted at least 0 (0: none)", args.window, args.softcap);
  if (args.slopes.dims != 0) {
    check_view(exec, op, "slopes", args.slopes, DType::f32, {args.kv_of_q.rows()});
  }
  check_pages(exec, args);
}

}  // namespace

void attention(const Exec& exec, const AttentionArgs& args) {
  check_attention(exec, args);
  if (on_device(exec, "attention")) {
    check_that(args.most_queries > 0 && args.most_context > 0, "attention",
               "most_queries is {} and most_context {}, wanted bounds on a device",
               args.most_queries, args.most_context);
    return exec.ops->attention(exec, args);
  }
  check_kv_map(args);
  check_sequences(args);
  std::vector<WorkItem> items = list_work(args, kAttentionRows);
  if (static_cast<std::int64_t>(items.size()) < exec.threads) {
    items = list_work(args, 1);  // fewer KV heads than threads: read a KV head more than once
  }
  std::int64_t work = 0;
  for (const WorkItem& item : items) {
    work += item.cost() * args.head_dim;
  }
  [[maybe_unused]] const int threads = threads_for(exec, work);
  const auto count = static_cast<std::int64_t>(items.size());
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(dynamic, 1)
  for (std::int64_t i = 0; i < count; ++i) {
    attend(args, items[static_cast<std::size_t>(i)]);
  }
}

}  // namespace tutti
