// The device against the host's `sample`, id by id.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/kernels/sample_batch.hpp"
#include "tests/support/gpu_compare.hpp"

namespace tutti {
namespace {

using testing::GpuArray;
using testing::SampleBatch;
using testing::to_gpu;

// Weights e^((x - largest) / temperature) are within 2 ulp (2^-22) on either side, the arguments of
// e^x the same bits, and the device cuts off 2^-45 of each of at most 2^19: sums agree to 2^-21.
constexpr double kBorder = 0x1p-21;

// What the rule keeps and draws from, in double: whether a draw may give `id` where sums are known
// to kBorder only, with the cuts by top-p and min-p moved by `shift` times that.
class Reference {
 public:
  Reference(const float* logits, std::int64_t n, const SampleRowRule& rule, double shift)
      : rule_(rule), weights_(std::size_t(n)), kept_(std::size_t(n)) {
    const float largest = *std::max_element(logits, logits + n);
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      const float exponent = (logits[i] - largest) / rule.temperature;
      weights_[i] = exponent < -87.0f ? 0 : std::exp(double{exponent});
    }
    std::iota(kept_.begin(), kept_.end(), 0);
    std::stable_sort(kept_.begin(), kept_.end(),
                     [&](int a, int b) { return logits[a] > logits[b]; });
    cut(shift);
    std::sort(kept_.begin(), kept_.end());
  }

  bool may_draw(std::int32_t id) const {
    double total = 0;
    for (const int kept : kept_) {
      total += weights_[std::size_t(kept)];
    }
    const double at = uniform_draw(rule_.seed, rule_.request, rule_.position) * total;
    double sum = 0;
    for (const int kept : kept_) {
      const double before = sum;
      sum += weights_[std::size_t(kept)];
      if (kept == id) {
        return weights_[std::size_t(kept)] > 0 && before <= at + kBorder * total &&
               sum >= at - kBorder * total;
      }
    }
    return false;
  }

 private:
  void cut(double shift) {
    if (rule_.top_k > 0 && std::size_t(rule_.top_k) < kept_.size()) {
      kept_.resize(std::size_t(rule_.top_k));
    }
    if (rule_.top_p < 1) {
      double total = 0;
      for (const int id : kept_) {
        total += weights_[std::size_t(id)];
      }
      double sum = 0;
      std::size_t count = 0;
      const double wanted = rule_.top_p * total * (1 + shift * kBorder);
      while (count < kept_.size() && (count == 0 || sum < wanted)) {
        sum += weights_[std::size_t(kept_[count++])];
      }
      kept_.resize(count);
    }
    std::erase_if(kept_, [&](int id) {
      return weights_[std::size_t(id)] < double{rule_.min_p} * (1 + shift * kBorder);
    });
  }

  SampleRowRule rule_;
  std::vector<double> weights_;
  std::vector<int> kept_;
};

class SampleRowsCudaTest : public testing::GpuTest {
 protected:
  // The same batch on the device; what it changes is copied back.
  static SampleBatch on_gpu(SampleBatch batch, std::int64_t stride = 0) {
    stride = stride == 0 ? batch.vocabulary : stride;
    const GpuArray logits = testing::poisoned(device(), DType::f32, {batch.rows, stride});
    for (std::int64_t row = 0; row < batch.rows; ++row) {
      device().copy_in(logits.view.row<float>(row),
                       &batch.logits[std::size_t(row * batch.vocabulary)],
                       std::size_t(batch.vocabulary) * 4);
    }
    const GpuArray rules = to_gpu(device(), DType::i32, {batch.rows, kSampleRuleWords},
                                  static_cast<const void*>(batch.rules.data()));
    const GpuArray seen = to_gpu(device(), {batch.slots, batch.words()}, batch.seen);
    const GpuArray ids = to_gpu(device(), {batch.rows}, batch.ids);
    const GpuArray last = to_gpu(device(), {batch.slots}, batch.last);
    SampleRowsArgs args{.logits = logits.view,
                        .rules = rules.view,
                        .seen = seen.view,
                        .ids = ids.view,
                        .last = last.view};
    args.logits.shape[1] = batch.vocabulary;
    sample_rows(exec(), args);
    batch.ids = testing::ints_of(device(), ids.view);
    batch.last = testing::ints_of(device(), last.view);
    batch.seen = testing::ints_of(device(), seen.view);
    const std::vector<float> changed = testing::floats_of(device(), logits.view);
    for (std::int64_t row = 0; row < batch.rows; ++row) {
      std::copy_n(changed.begin() + row * stride, batch.vocabulary,
                  batch.logits.begin() + row * batch.vocabulary);
    }
    return batch;
  }

  static SampleBatch on_host(SampleBatch batch) {
    sample_rows(testing::host_exec(1), batch.args());
    return batch;
  }

  static std::string name(const SampleBatch& batch, std::int64_t row) {
    const SampleRowRule& rule = batch.rules[std::size_t(row)];
    return fmt::format(
        "row {} of {}, {} ids, temperature {}, top_k {}, top_p {}, min_p {}, penalty "
        "{}, position {}",
        row, batch.rows, batch.vocabulary, rule.temperature, rule.top_k, rule.top_p, rule.min_p,
        rule.repetition_penalty, rule.position);
  }

  // Equal to the host; ids may differ where the draw lies at a border, and that is looked at.
  static void expect_the_hosts(const SampleBatch& batch, std::int64_t stride = 0) {
    const SampleBatch wanted = on_host(batch);
    const SampleBatch found = on_gpu(batch, stride);
    for (std::int64_t row = 0; row < batch.rows; ++row) {
      const std::size_t r = std::size_t(row);
      const SampleRowRule& rule = batch.rules[r];
      if (found.ids[r] != wanted.ids[r]) {
        const float* logits = &wanted.logits[std::size_t(row * batch.vocabulary)];
        const bool random = rule.slot >= 0 && rule.temperature > 0 && rule.top_k != 1;
        bool at_border = false;
        for (const double shift : {-1.0, 0.0, 1.0}) {
          at_border = at_border ||
                      (random && wanted.ids[r] >= 0 &&
                       Reference(logits, batch.vocabulary, rule, shift).may_draw(found.ids[r]));
        }
        EXPECT_TRUE(at_border) << name(batch, row) << ": drew " << found.ids[r] << ", wanted "
                               << wanted.ids[r];
        continue;
      }
      if (rule.slot >= 0) {
        EXPECT_EQ(found.last[std::size_t(rule.slot)], wanted.ids[r]) << name(batch, row);
        EXPECT_EQ(found.seen_ids(rule.slot), wanted.seen_ids(rule.slot)) << name(batch, row);
      }
    }
    std::size_t changed = 0;
    for (std::size_t i = 0; i < wanted.logits.size(); ++i) {
      const bool both_nan = std::isnan(wanted.logits[i]) && std::isnan(found.logits[i]);
      if (wanted.logits[i] != found.logits[i] && !both_nan && changed++ < 5) {
        ADD_FAILURE() << "logit " << i << " is " << found.logits[i] << " after penalties, wanted "
                      << wanted.logits[i];
      }
    }
  }

  // Every rule on a few rows of the vocabulary, each with its own logits and seen ids.
  static SampleBatch batch_of(std::int64_t vocabulary, const std::vector<SampleRowRule>& rules,
                              int draws) {
    const std::int64_t rows = static_cast<std::int64_t>(rules.size()) * draws;
    SampleBatch batch(rows, vocabulary, rows + 2);
    for (std::size_t row = 0; row < batch.rules.size(); ++row) {
      batch.rules[row] = rules[row % rules.size()];
      batch.rules[row].seed = 77;
      batch.rules[row].request = row * 0x100000001u;
      batch.rules[row].position = 1000 + row;
      batch.rules[row].slot = static_cast<std::int32_t>(rows - std::int64_t(row));
    }
    for (std::size_t i = 0; i < batch.seen.size(); ++i) {
      batch.seen[i] = static_cast<std::int32_t>((i * 2654435761u) & (i * 40503u << 7));
    }
    // No bits past the vocabulary's end, as the runtime leaves them.
    if (vocabulary % 32 != 0) {
      for (std::int64_t slot = 0; slot < batch.slots; ++slot) {
        batch.seen[std::size_t((slot + 1) * batch.words() - 1)] = 0;
      }
    }
    return batch;
  }
};

const std::vector<SampleRowRule> kRandomRules = {
    {.temperature = 1},
    {.temperature = 0.7f},
    {.top_k = 50},
    {.top_k = 5000},
    {.top_p = 0.9f},
    {.top_p = 0.999f},
    {.top_p = 0},
    {.temperature = 1.3f, .top_p = 0.8f, .top_k = 40},
    {.min_p = 0.1f},
    {.top_p = 0.5f, .min_p = 0.3f},
    {.top_p = 0.99f, .min_p = 0.9f, .top_k = 2},
    {.temperature = 0.05f, .top_p = 0.95f},
    {.temperature = 5, .top_p = 0.97f, .top_k = 3000},
    {.temperature = 0.8f, .top_p = 0.95f, .repetition_penalty = 1.3f, .top_k = 20}};

TEST_F(SampleRowsCudaTest, TakesTheFirstOfTheLargestWhereNothingIsRandom) {
  for (const std::int64_t vocabulary : {1, 3, 31, 128, 1000, 32000, 49152, 128256}) {
    SampleBatch batch = batch_of(vocabulary,
                                 {{.temperature = 0},
                                  {.temperature = 0, .top_p = 0.5f, .top_k = 40},
                                  {.top_k = 1},
                                  {.temperature = 0, .repetition_penalty = 1.7f}},
                                 5);
    expect_the_hosts(batch);
    for (float& logit : batch.logits) {  // many equals
      logit = std::floor(logit / 4);
    }
    expect_the_hosts(batch);
    std::fill(batch.logits.begin(), batch.logits.end(), -0.0f);
    batch.logits.back() = 0.0f;  // equal to -0
    expect_the_hosts(batch);
  }
}

TEST_F(SampleRowsCudaTest, DrawsWhatTheHostDraws) {
  for (const std::int64_t vocabulary : {1, 2, 100, 1000, 4097, 32000}) {
    expect_the_hosts(batch_of(vocabulary, kRandomRules, 8));
  }
  expect_the_hosts(batch_of(128256, kRandomRules, 1));
}

TEST_F(SampleRowsCudaTest, DrawsWhatTheHostDrawsFromFlatAndTiedRows) {
  SampleBatch flat = batch_of(20001, kRandomRules, 3);
  for (float& logit : flat.logits) {  // more to keep than the block can sort
    logit *= 0.01f;
  }
  expect_the_hosts(flat);
  SampleBatch tied = batch_of(20000, kRandomRules, 2);
  for (float& logit : tied.logits) {
    logit = std::round(logit);
  }
  expect_the_hosts(tied);
  std::fill(tied.logits.begin(), tied.logits.end(), 1.5f);
  expect_the_hosts(tied);
  SampleBatch masked = batch_of(5000, kRandomRules, 2);
  for (std::size_t i = 0; i < masked.logits.size(); ++i) {
    if (i % 3 != 0) {
      masked.logits[i] = -std::numeric_limits<float>::infinity();
    }
  }
  expect_the_hosts(masked);
}

TEST_F(SampleRowsCudaTest, TakesRowsThatLieApart) {
  expect_the_hosts(batch_of(1001, kRandomRules, 2), 1024);
  expect_the_hosts(batch_of(1001, kRandomRules, 2), 1003);  // not for loads of 16 bytes
}

TEST_F(SampleRowsCudaTest, MarksRowsThatOverflowedAndSkipsThosePadded) {
  const float inf = std::numeric_limits<float>::infinity();
  SampleBatch batch(6, 5000, 6);
  for (std::int32_t row = 0; row < 6; ++row) {
    batch.rules[std::size_t(row)] = {.temperature = row % 2 == 0 ? 0.0f : 1.0f, .slot = row};
  }
  batch.logits[4999] = std::nanf("");
  batch.logits[5000] = std::nanf("");
  batch.logits[2 * 5000 + 17] = inf;
  std::fill_n(batch.logits.begin() + 3 * 5000, 5000, -inf);
  std::fill_n(batch.logits.begin() + 4 * 5000, 5000, std::nanf(""));
  batch.rules[4].slot = -1;
  const SampleBatch found = on_gpu(batch);
  const SampleBatch wanted = on_host(batch);
  EXPECT_EQ(found.ids, wanted.ids);
  EXPECT_EQ(std::vector<std::int32_t>(found.ids.begin(), found.ids.begin() + 5),
            (std::vector<std::int32_t>{-1, -1, -1, -1, 0}));
  EXPECT_EQ(found.last, wanted.last);
  EXPECT_EQ(found.seen, wanted.seen);
}

TEST_F(SampleRowsCudaTest, DrawsTheSameInAnyBatch) {
  const SampleBatch all = batch_of(32000, kRandomRules, 1);
  const SampleBatch together = on_gpu(all);
  for (const std::size_t row : {std::size_t{1}, std::size_t{7}, std::size_t{13}}) {
    SampleBatch one(1, 32000, all.slots);
    std::copy_n(all.logits.begin() + std::ptrdiff_t(row) * 32000, 32000, one.logits.begin());
    one.rules[0] = all.rules[row];
    one.seen = all.seen;
    EXPECT_EQ(on_gpu(one).ids[0], together.ids[row]) << name(all, std::int64_t(row));
  }
}

}  // namespace
}  // namespace tutti
