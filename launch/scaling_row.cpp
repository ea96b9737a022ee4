#include "launch/scaling_row.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "launch/rank_threads.hpp"

namespace tutti {

ScalingMember::ScalingMember(const MpiRanks& active, int group, const ScalingShape& shape,
                             const ScalingOptions& options)
    : active_(active),
      shape_(shape),
      options_(options),
      number_(group),
      group_(active.split(group)),
      control_(active.group()),
      first_(active.split(group_.rank() == 0 ? 0 : 1)),
      first_control_(first_.group()) {}

// Collective over `active`, once. Errors: AgreedFailure on all, where it failed for any.
void ScalingMember::agree(const std::optional<Failure>& own) {
  agreed_ = true;
  together(control_, active_.host(), [&] {
    if (own) {
      throw AgreedFailure(*own);
    }
  });
}

std::optional<Failure> ScalingMember::measure(ScalingRow& row) {
  std::optional<Session> session;
  std::optional<Failure> failure;
  try {
    work(row, session);
  } catch (const AgreedFailure& own) {
    if (replicas() && agreed_ && !failure_is_joint_) {
      throw Error(own.failure.message);
    }
    failure = own.failure;
  }
  if (!agreed_) {
    try {
      agree(failure);
    } catch (const AgreedFailure& joint) {
      failure = joint.failure;
    }
  }
  if (session) {
    session->close();
  }
  return failure;
}

void ScalingMember::work(ScalingRow& row, std::optional<Session>& session) {
  ThroughputOptions throughput = options_.throughput;
  throughput.session.messages.quiet = true;  // each load would say the same
  throughput.seed += static_cast<std::uint64_t>(number_);
  if (replicas()) {  // those of one node share its CPUs
    throughput.session.threads =
        threads_of_rank(control_, active_, throughput.session.threads).threads;
  }
  session.emplace(group_, throughput.session);
  device_ = session->device().name();
  uuid_ = session->device().uuid();
  const ThroughputResult result = measure_throughput(*session, throughput,
                                                     {.loaded =
                                                          [&] {
                                                            failure_is_joint_ = true;
                                                            agree(std::nullopt);
                                                            failure_is_joint_ = false;
                                                          },
                                                      .repeat = [&] { first_control_.barrier(); }});
  identity_ = session->facts().model;
  row.backend = session->facts().backend;
  row.load_seconds = session->facts().load_seconds;
  if (group_.rank() == 0) {
    add_up(result, row);
  }
  if (!replicas()) {
    row.latency = measure_latency(*session, options_.latency);
  }
}

// Collective over the groups' first ranks. A repeat ends when the last replica is done.
void ScalingMember::add_up(const ThroughputResult& result, ScalingRow& row) {
  const auto all = first_control_.all_gather(std::as_bytes(std::span(result.repeat_seconds)));
  std::vector<double> longest = result.repeat_seconds;
  for (const auto& bytes : all) {
    std::vector<double> seconds(bytes.size() / sizeof(double));
    std::memcpy(seconds.data(), bytes.data(), bytes.size());
    for (std::size_t i = 0; i < longest.size(); ++i) {
      longest[i] = std::max(longest[i], seconds.at(i));
    }
  }
  for (const double seconds : longest) {
    row.speeds.push_back(shape_.replicas * static_cast<double>(result.output_tokens) / seconds);
  }
  row.output_speed = summarize(row.speeds);
}

}  // namespace tutti
