#include "launch/bench_collectives.hpp"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "launch/progress.hpp"

namespace tutti {

double collective_seconds_of_step(Session& session, std::int64_t tokens) {
  if (session.communicator().size() == 1) {
    return 0;
  }
  using Kind = CollectiveCase::Kind;
  const DecoderSpec& spec = session.spec();
  const DType dtype = session.cache().layout().dtype;
  const std::array<CollectiveCase, 3> cases = {{{.kind = Kind::all_reduce_add_rmsnorm,
                                                 .rows = tokens,
                                                 .columns = spec.hidden,
                                                 .dtype = dtype},
                                                {.kind = Kind::all_reduce,
                                                 .rows = tokens,
                                                 .columns = spec.hidden,
                                                 .dtype = DType::f32,
                                                 .shared = false},
                                                {.kind = Kind::all_gather,
                                                 .rows = tokens,
                                                 .columns = spec.vocabulary,
                                                 .dtype = DType::f32,
                                                 .shared = false}}};
  const std::vector<CollectiveTime> times =
      time_collectives(session.communicator(), session.control(), session.device(), cases);
  const double sums = 2.0 * static_cast<double>(spec.layers) * times[0].microseconds;
  return 1e-6 * (sums + times[1].microseconds + times[2].microseconds);
}

std::string collectives_text(const JobFacts& job, std::span<const CollectiveTime> times) {
  std::string text =
      fmt::format("collectives of {} ranks on {}\n\n", job.ranks.size(), job.communication);
  text += fmt::format("{:<44} {:>10} {:>10} {:>12} {:>12}\n", "what", "bytes", "us", "algbw GB/s",
                      "busbw GB/s");
  for (const CollectiveTime& time : times) {
    text +=
        fmt::format("{:<44} {:>10} {:>10.2f} {:>12.2f} {:>12.2f}\n", describe(time.what),
                    human_bytes(time.bytes), time.microseconds, time.algorithm_rate, time.bus_rate);
  }
  return text;
}

nlohmann::json collectives_json(const JobFacts& job, std::span<const CollectiveTime> times) {
  nlohmann::json object = {{"benchmark", "collectives"},      {"tutti", job.libraries.tutti},
                           {"ranks", job.ranks.size()},       {"devices", device_names(job.ranks)},
                           {"backend", job.communication},    {"job", job_json(job)},
                           {"cases", nlohmann::json::array()}};
  for (const CollectiveTime& time : times) {
    object["cases"].push_back({{"what", describe(time.what)},
                               {"bytes", time.bytes},
                               {"microseconds", time.microseconds},
                               {"algbw_gb_per_second", time.algorithm_rate},
                               {"busbw_gb_per_second", time.bus_rate}});
  }
  return object;
}

}  // namespace tutti
