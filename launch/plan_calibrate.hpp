// Constants of the prediction from what `tutti bench … --json` measured here.
#pragma once

#include <filesystem>
#include <string>

#include "launch/plan_model.hpp"
#include "launch/plan_speed.hpp"

namespace tutti {

// Takes over what `file`, a report of bench latency or bench collectives, says of this machine:
//   read_gbs    bytes that a rank reads in a second, as measured after the answers
//   tflops      the library's products, where the prompts had 512 tokens or more
//   layer_us    what a step took beside reading and sums; sum_us, nccl_us or network_us from the
//               step's collectives: where the report is of a model with as many parameters and 16
//               requests at the most
//   link_gbs    the bus bandwidth of the largest all-reduce (bench collectives)
// Returns what changed, "read_gbs 3051, layer_us 8.1", for people. Errors: ModelFileError where the
// file is missing, not JSON or not such a report, or holds nothing to go by.
std::string calibrate(const std::filesystem::path& file, const PlannedModel& model,
                      SpeedCase& wanted, int gpus_per_node, Link link);

}  // namespace tutti
