// A model on one kind of device, for several numbers of ranks: does it fit, how fast will it be,
// and where more ranks stop paying.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launch/plan_gpus.hpp"
#include "launch/plan_memory.hpp"
#include "launch/plan_model.hpp"
#include "launch/plan_speed.hpp"

namespace tutti {

// What is asked, whatever the device.
struct PlanQuestion {
  PlannedModel model;
  std::vector<int> ranks;  // empty: the usual ones, and the smallest that fits
  std::int64_t context = 0;
  std::int64_t batch = 1;
  std::int64_t prompt_tokens = 128;  // of the predicted requests
  std::int64_t new_tokens = 128;
  std::optional<DType> kv;                    // empty: as the model's weights; f32 on hosts
  std::optional<std::uint64_t> device_bytes;  // instead of the kind's
  double memory_fraction = 0.9;
  int gpus_per_node = 8;
  int threads = 1;
  std::vector<std::string> constants;     // "name=value", over those of the kind
  std::vector<std::string> calibrations;  // files, before `constants`
};

struct CountPlan {
  ShardPlan shards;
  std::vector<RankMemory> memory;        // of each rank
  std::optional<SpeedPrediction> speed;  // where the device's constants are known

  int ranks() const { return shards.ranks(); }
  bool fits() const;
  std::size_t tightest() const;             // the rank that lacks most, or has least left
  std::int64_t kv_tokens_that_fit() const;  // of the cache, which is alike on all ranks
};

struct DevicePlan {
  GpuKind kind;  // its memory and constants as they were used
  MemoryQuestion memory;
  SpeedCase speed;
  std::vector<CountPlan> counts;        // by rising ranks
  int smallest = 0;                     // ranks that fit; 0: no number does
  int pays_up_to = 0;                   // 0: not known
  std::vector<std::string> calibrated;  // what was taken over, a line for each file

  bool fits() const;  // with one of the counts
};

// Adding ranks pays as long as each step to the next count yields at least this share of what the
// ranks that it adds would ideally yield.
inline constexpr double kPayingShare = 0.5;

// Errors: ConfigError for a number of ranks that cannot be, CapacityError never.
DevicePlan plan_on(const PlanQuestion& question, const GpuKind& kind);
// Speed over that of the smallest count that fits, over the same for ranks; 0 where not known.
double share_of_ideal(const DevicePlan& plan, const CountPlan& count);
// Why the largest count does not fit, and what would: one line.
std::string plan_shortfall(const PlanQuestion& question, const DevicePlan& plan);

}  // namespace tutti
