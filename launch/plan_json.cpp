// A plan for machines: docs/plan.md lists the fields.
#include <nlohmann/json.hpp>

#include "launch/build_info.hpp"
#include "launch/plan_report.hpp"

namespace tutti {
namespace {

using nlohmann::json;

json model_json(const PlannedModel& model) {
  json object = {{"name", model.name},
                 {"kind", kind_text(model.kind)},
                 {"architecture", model.spec.architecture},
                 {"parameters", model.parameters},
                 {"dtype", name_of(model.dtype)},
                 {"weight_bytes", model.weight_bytes},
                 {"fingerprint", nullptr}};
  if (!model.fingerprint.empty()) {
    object["fingerprint"] = model.fingerprint;
  }
  return object;
}

json head_json(const PlanQuestion& question) {
  return {{"tutti", version()},
          {"model", model_json(question.model)},
          {"load",
           {{"context", question.context},
            {"batch", question.batch},
            {"prompt_tokens", question.prompt_tokens},
            {"new_tokens", question.new_tokens}}}};
}

json rank_json(const CountPlan& count, std::size_t rank) {
  const RankMemory& memory = count.memory[rank];
  const RankShare& share = count.shards.share(static_cast<int>(rank));
  return {{"rank", rank},
          {"weight_bytes", memory.weights},
          {"kv_bytes", memory.kv},
          {"workspace_bytes", memory.workspace},
          {"budget_bytes", memory.budget},
          {"left_bytes",
           static_cast<std::int64_t>(memory.budget) - static_cast<std::int64_t>(memory.needs())},
          {"heads", share.q_heads.size()},
          {"kv_heads", share.kv_heads.size()},
          {"ffn_columns", share.ffn.size()},
          {"experts", share.experts.size()},
          {"vocabulary_rows", share.vocabulary.size()},
          {"parameters", share.parameters}};
}

json speed_json(const SpeedPrediction& speed) {
  const StepTime& step = speed.step;
  return {{"seconds_per_token", step.total()},
          {"parts",
           {{"products", step.products},
            {"cache", step.cache},
            {"small_kernels", step.small},
            {"starts", step.starts},
            {"sums", step.sums}}},
          {"first_token_seconds", speed.prompt_seconds},
          {"decode_tokens_per_second", speed.decode_per_second},
          {"tokens_per_second", speed.whole_per_second}};
}

json count_json(const DevicePlan& plan, const CountPlan& count) {
  json object = {{"ranks", count.ranks()},
                 {"fits", count.fits()},
                 {"imbalance", count.shards.imbalance()},
                 {"kv_tokens_that_fit", count.kv_tokens_that_fit()},
                 {"prediction", nullptr},
                 {"per_rank", json::array()}};
  if (count.speed) {
    object["prediction"] = speed_json(*count.speed);
    object["prediction"]["share_of_ideal"] = share_of_ideal(plan, count);
  }
  for (std::size_t rank = 0; rank < count.memory.size(); ++rank) {
    object["per_rank"].push_back(rank_json(count, rank));
  }
  return object;
}

json device_json(const DevicePlan& plan) {
  const MemoryQuestion& memory = plan.memory;
  json object = {{"kind", plan.kind.name},
                 {"title", plan.kind.title},
                 {"memory_bytes", memory.device_bytes},
                 {"memory_fraction", memory.host ? 1.0 : memory.memory_fraction},
                 {"context_bytes", memory.host ? 0 : kContextBytes},
                 {"group_bytes", memory.host ? 0 : kGroupBytes},
                 {"kv_dtype", name_of(memory.kv)}};
  object["constants"] = json::object();
  for (const SpeedConstantInfo& info : speed_constants()) {
    object["constants"][std::string(info.name)] = plan.speed.constants.*info.member;
  }
  object["calibrated"] = plan.calibrated;
  return object;
}

json answer_json(const DevicePlan& plan) {
  json object = {{"device", device_json(plan)},
                 {"fits", plan.fits()},
                 {"smallest_count", nullptr},
                 {"pays_up_to", nullptr},
                 {"counts", json::array()}};
  if (plan.smallest > 0) {
    object["smallest_count"] = plan.smallest;
  }
  if (plan.pays_up_to > 0) {
    object["pays_up_to"] = plan.pays_up_to;
  }
  for (const CountPlan& count : plan.counts) {
    object["counts"].push_back(count_json(plan, count));
  }
  return object;
}

}  // namespace

json plan_json(const PlanQuestion& question, const DevicePlan& plan) {
  json object = head_json(question);
  object.update(answer_json(plan));
  return object;
}

json kinds_json(const PlanQuestion& question, const std::vector<DevicePlan>& plans) {
  json object = head_json(question);
  object["devices"] = json::array();
  for (const DevicePlan& plan : plans) {
    object["devices"].push_back(answer_json(plan));
  }
  return object;
}

}  // namespace tutti
