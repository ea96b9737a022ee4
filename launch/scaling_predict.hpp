// What `tutti plan` reckons for the rows of a scaling run.
#pragma once

#include "launch/bench_scaling.hpp"

namespace tutti {

// For GPUs whose kind gpus.json knows, ranks of one node; hosts differ too much. Reads the model's
// description when it is first called.
Predict plan_predictions(const ScalingOptions& options);

}  // namespace tutti
