#include "launch/scaling_predict.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "launch/model_to_run.hpp"
#include "launch/options.hpp"
#include "launch/plan_gpus.hpp"
#include "launch/plan_speed.hpp"

namespace tutti {
namespace {

ModelToRun model_of(const SessionOptions& session) {
  return session.random_weights ? ModelToRun::from_shape(session.model.string(),
                                                         *session.random_weights, session.dtype)
                                : ModelToRun::from_file(session.model);
}

SpeedCase case_of(const ModelToRun& model, const SpeedConstants& constants) {
  const ModelIdentity& identity = model.identity();
  const double each =
      static_cast<double>(identity.weight_bytes) / static_cast<double>(identity.parameters);
  const double activations = identity.dtype.starts_with("f32") ? 4 : 2;
  return {.spec = model.spec(),
          .matrix_bytes_each = each,
          .kv_bytes_each = activations,
          .activation_bytes_each = activations,
          .constants = constants};
}

std::optional<GpuKind> kind_of(const std::string& device) {
  try {
    return gpu_named(load_gpus(gpus_file()), device);
  } catch (const UsageError&) {
    return std::nullopt;
  }
}

ScalingPrediction predict_row(const ScalingOptions& options, SpeedCase wanted, int ranks,
                              Link link) {
  const ShardPlan shards(wanted.spec.shard_shape(), ranks);
  ScalingPrediction prediction;
  wanted.batch = options.latency.batch;
  wanted.prompt_tokens = options.latency.prompt_tokens;
  wanted.new_tokens = options.latency.new_tokens;
  prediction.seconds_per_token = decode_step(wanted, shards, link).total();
  if (options.throughput.workload.empty()) {
    wanted.batch = std::min(static_cast<std::int64_t>(options.throughput.requests),
                            std::int64_t{options.throughput.max_running});
    wanted.prompt_tokens = options.throughput.input_tokens;
    wanted.new_tokens = options.throughput.output_tokens;
    prediction.output_speed = predict(wanted, shards, link).whole_per_second;
  }
  return prediction;
}

}  // namespace

Predict plan_predictions(const ScalingOptions& options) {
  const auto model = std::make_shared<std::optional<ModelToRun>>();
  return
      [model, options](int ranks, const std::string& device) -> std::optional<ScalingPrediction> {
        const std::optional<GpuKind> kind = kind_of(device);
        if (!kind || kind->host || !kind->constants.known()) {
          return std::nullopt;
        }
        if (!*model) {
          model->emplace(model_of(options.throughput.session));
        }
        return predict_row(options, case_of(**model, kind->constants), ranks, kind->link);
      };
}

}  // namespace tutti
