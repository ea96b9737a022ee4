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
  static constexpr std::int32_t kBiases = 60;
  static constexpr std::int32_t kBans = 3;

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
    const GpuArray tallies = to_gpu(device(), {batch.slots, batch.words()}, batch.tallies);
    const GpuArray biases = to_gpu(device(), {batch.slots, kSampleMostBiases, 2}, batch.biases);
    const GpuArray ids = to_gpu(device(), {batch.rows}, batch.ids);
    const GpuArray last = to_gpu(device(), {batch.slots}, batch.last);
    SampleRowsArgs args{.logits = logits.view,
                        .rules = rules.view,
                        .tallies = tallies.view,
                        .biases = biases.view,
                        .ids = ids.view,
                        .last = last.view};
    args.logits.shape[1] = batch.vocabulary;
    sample_rows(exec(), args);
    batch.ids = testing::ints_of(device(), ids.view);
    batch.last = testing::ints_of(device(), last.view);
    batch.tallies = testing::ints_of(device(), tallies.view);
    EXPECT_EQ(testing::ints_of(device(), biases.view), batch.biases);
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
        "row {} of {}, {} ids, temperature {}, top_k {}, top_p {}, min_p {}, penalties "
        "{} {} {}, {} biases, {} bans, position {}",
        row, batch.rows, batch.vocabulary, rule.temperature, rule.top_k, rule.top_p, rule.min_p,
        rule.repetition_penalty, rule.presence_penalty, rule.frequency_penalty, rule.biases,
        rule.bans, rule.position);
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
        EXPECT_EQ(found.tallied(rule.slot), wanted.tallied(rule.slot)) << name(batch, row);
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
    for (std::int64_t slot = 0; slot < batch.slots; ++slot) {
      for (std::uint32_t id = 0; id < vocabulary; ++id) {
        const std::uint32_t hash =
            (id * 2654435761u + static_cast<std::uint32_t>(slot) * 40503u) >> 9;
        const int count = hash % 7 == 0 ? 1 + static_cast<int>(hash / 7 % 30) : 0;
        batch.set_tally(slot, id, static_cast<Tally>((hash % 3 == 0 ? kTallyPrompt : 0) | count));
      }
      list_biases(batch, slot);
    }
    return batch;
  }

  // 60 biases and 3 bans, or as many as there are ids to spare; the first id is biased and banned.
  static void list_biases(SampleBatch& batch, std::int64_t slot) {
    const auto n = static_cast<std::int32_t>(batch.vocabulary);
    std::vector<std::pair<std::int32_t, float>> biases;
    for (std::int32_t i = 0; i < std::min(kBiases, n - 1); ++i) {
      biases.emplace_back((i * std::max(1, n / kBiases) + static_cast<int>(slot)) % n,
                          i % 9 == 8 ? -std::numeric_limits<float>::infinity()
                                     : 0.37f * static_cast<float>(i % 13 - 6));
    }
    std::vector<std::int32_t> bans;
    for (std::int32_t i = 0; i < std::min(kBans, n - 1); ++i) {
      bans.push_back((i + static_cast<int>(slot)) % n);
    }
    batch.set_biases(slot, biases, bans);
    for (SampleRowRule& rule : batch.rules) {
      if (rule.slot == slot && rule.biases > 0) {
        rule.biases = static_cast<std::int32_t>(biases.size());
        rule.bans = static_cast<std::int32_t>(bans.size());
      }
    }
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
    {.temperature = 0.8f, .top_p = 0.95f, .repetition_penalty = 1.3f, .top_k = 20},
    {.temperature = 0.75f, .presence_penalty = 1.15f},
    {.top_p = 0.9f, .presence_penalty = -0.5f, .frequency_penalty = 0.3f},
    {.repetition_penalty = 0.8f, .presence_penalty = 0.1f, .frequency_penalty = -0.2f, .top_k = 30},
    {.temperature = 0.9f, .biases = 1},
    {.top_p = 0.8f, .repetition_penalty = 1.2f, .frequency_penalty = 0.7f, .biases = 1}};

TEST_F(SampleRowsCudaTest, TakesTheFirstOfTheLargestWhereNothingIsRandom) {
  for (const std::int64_t vocabulary : {1, 3, 31, 128, 1000, 32000, 49152, 128256}) {
    SampleBatch batch = batch_of(vocabulary,
                                 {{.temperature = 0},
                                  {.temperature = 0, .top_p = 0.5f, .top_k = 40},
                                  {.top_k = 1},
                                  {.temperature = 0, .repetition_penalty = 1.7f},
                                  {.temperature = 0, .presence_penalty = 1.15f},
                                  {.temperature = 0, .frequency_penalty = 0.1f, .biases = 1},
                                  {.temperature = 0, .biases = 1}},
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
  EXPECT_EQ(found.tallies, wanted.tallies);
}

TEST_F(SampleRowsCudaTest, DrawsTheSameInAnyBatch) {
  const SampleBatch all = batch_of(32000, kRandomRules, 1);
  const SampleBatch together = on_gpu(all);
  for (const std::size_t row : {std::size_t{1}, std::size_t{7}, std::size_t{13}}) {
    SampleBatch one(1, 32000, all.slots);
    std::copy_n(all.logits.begin() + std::ptrdiff_t(row) * 32000, 32000, one.logits.begin());
    one.rules[0] = all.rules[row];
    one.tallies = all.tallies;
    one.biases = all.biases;
    EXPECT_EQ(on_gpu(one).ids[0], together.ids[row]) << name(all, std::int64_t(row));
  }
}

// Where greedy rows are penalised for what they drew, the next step draws something else.
TEST_F(SampleRowsCudaTest, CountsItsOwnAnswersFromStepToStep) {
  for (const std::int64_t vocabulary : {5, 1001, 32000}) {
    const SampleBatch first = batch_of(vocabulary,
                                       {{.temperature = 0, .presence_penalty = 2},
                                        {.temperature = 0, .frequency_penalty = 0.5f},
                                        {.temperature = 0, .repetition_penalty = 1.5f},
                                        {.temperature = 0, .frequency_penalty = 0.25f, .biases = 1},
                                        {.temperature = 0}},
                                       2);
    SampleBatch device_side = first;
    SampleBatch host_side = first;
    for (int step = 0; step < 12; ++step) {
      device_side.logits = first.logits;
      host_side.logits = first.logits;
      device_side = on_gpu(device_side);
      host_side = on_host(host_side);
      EXPECT_EQ(device_side.ids, host_side.ids) << vocabulary << " ids, step " << step;
      EXPECT_EQ(device_side.tallies, host_side.tallies) << vocabulary << " ids, step " << step;
      EXPECT_EQ(device_side.logits, host_side.logits) << vocabulary << " ids, step " << step;
    }
  }
}

TEST_F(SampleRowsCudaTest, ATallyThatIsFullStaysFull) {
  SampleBatch batch(1, 1001, 1);
  batch.rules[0] = {.temperature = 0, .frequency_penalty = 0.001f, .slot = 0};
  batch.set_tally(0, 999, kTallyPrompt | (kTallyMostCounted - 1));
  for (int step = 0; step < 3; ++step) {
    std::fill(batch.logits.begin(), batch.logits.end(), 0.0f);
    batch.logits[999] = 100;
    batch = on_gpu(batch);
    EXPECT_EQ(batch.ids[0], 999);
    EXPECT_EQ(batch.tallied(0),
              (std::vector<std::pair<std::int32_t, int>>{{999, kTallyPrompt | kTallyMostCounted}}));
  }
}

TEST_F(SampleRowsCudaTest, DrawsTheOneIdThatIsNotBanned) {
  const float inf = std::numeric_limits<float>::infinity();
  const auto n = static_cast<std::int32_t>(kSampleMostBiases);
  std::vector<SampleRowRule> rules = kRandomRules;
  rules.push_back({.temperature = 0});
  SampleBatch batch = batch_of(n, rules, 1);
  for (std::size_t row = 0; row < batch.rules.size(); ++row) {
    SampleRowRule& rule = batch.rules[row];
    const auto left = static_cast<std::int32_t>(row * 37) % n;
    std::vector<std::pair<std::int32_t, float>> biases;
    std::vector<std::int32_t> bans;
    for (std::int32_t id = 0; id < n; ++id) {
      if (id != left && id % 2 == 0) {
        biases.emplace_back(id, -inf);
      } else if (id != left) {
        bans.push_back(id);
      }
    }
    batch.set_biases(rule.slot, biases, bans);
    rule.biases = static_cast<std::int32_t>(biases.size());
    rule.bans = static_cast<std::int32_t>(bans.size());
  }
  const SampleBatch found = on_gpu(batch);
  for (std::size_t row = 0; row < batch.rules.size(); ++row) {
    EXPECT_EQ(found.ids[row], static_cast<std::int32_t>(row * 37) % n)
        << name(batch, std::int64_t(row));
  }
  expect_the_hosts(batch);
}

TEST_F(SampleRowsCudaTest, ABiasThatLeavesNothingToDrawMarksTheRow) {
  const float inf = std::numeric_limits<float>::infinity();
  SampleBatch batch(4, 2, 4);
  batch.logits.assign(8, 1);
  for (std::int32_t slot = 0; slot < 4; ++slot) {
    batch.rules[std::size_t(slot)] = {.presence_penalty = 1, .slot = slot, .biases = 1, .bans = 1};
  }
  batch.set_biases(0, {{0, -inf}}, {1});
  batch.set_biases(1, {{0, inf}}, {1});
  batch.set_biases(2, {{0, inf}}, {0});  // infinity minus infinity
  batch.set_biases(3, {{0, std::nanf("")}}, {1});
  const SampleBatch found = on_gpu(batch);
  EXPECT_EQ(found.ids, (std::vector<std::int32_t>(4, -1)));
  EXPECT_EQ(found.tallies, batch.tallies);
}

}  // namespace
}  // namespace tutti
