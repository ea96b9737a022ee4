// What one step computes, as plain arrays that rank 0 broadcasts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tutti {

struct StepPlan {
  std::vector<std::int32_t> token_ids;    // [tokens]
  std::vector<std::int32_t> positions;    // [tokens]
  std::vector<std::int32_t> sources;      // [tokens]: -1, or the sequence slot whose last sampled
                                          // id this is: it may still be on the device only
  std::vector<std::int32_t> slots;        // [tokens]: page * page_size + offset
  std::vector<std::int32_t> query_begin;  // [sequences + 1]
  std::vector<std::int32_t> context_length;  // [sequences], this step's tokens included
  std::vector<std::int32_t> block_table;     // [sequences, max_blocks]
  std::vector<std::int32_t> logit_rows;      // [wanted]: tokens whose logits are wanted
  // Where the model samples (Model::samples): one SampleRowRule for each row of logits, as words.
  std::vector<std::int32_t> rules;  // [wanted * kSampleRuleWords], or empty
  // What sequences bring along that enter their slots with this step: a SampleSlotEntry each, as
  // words, and its pairs (SampleSlotsArgs). Only those whose rules want tallies or biases.
  std::vector<std::int32_t> slot_entries;  // [entries * kSampleSlotWords]
  std::vector<std::int32_t> slot_pairs;    // [pairs * 2]
  std::int32_t max_blocks = 0;

  int tokens() const { return static_cast<int>(token_ids.size()); }
  int sequences() const { return static_cast<int>(context_length.size()); }
  int wanted() const { return static_cast<int>(logit_rows.size()); }
  std::int32_t most_queries() const;  // tokens of one sequence
  std::int32_t most_context() const;  // the longest context_length
  // The plan without tokens tells the other ranks to leave their loop.
  bool stop() const { return token_ids.empty(); }

  std::vector<std::byte> to_bytes() const;
  // Errors: CommError where the bytes are not a plan, or its entries name pairs that are not there.
  static StepPlan from_bytes(std::span<const std::byte> bytes);

  friend bool operator==(const StepPlan&, const StepPlan&) = default;
};

}  // namespace tutti
