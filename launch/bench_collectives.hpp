// tutti bench collectives: what the ranks' exchanges cost, by size and path.
#pragma once

#include <span>

#include "launch/session.hpp"
#include "runtime/comm/collective_times.hpp"

namespace tutti {

// Collective. What one step of `tokens` tokens, each of a sequence of its own, spends in
// collectives: seconds, norms that are joined to sums included. Zero for one rank.
double collective_seconds_of_step(Session& session, std::int64_t tokens);

std::string collectives_text(const JobFacts& job, std::span<const CollectiveTime> times);
nlohmann::json collectives_json(const JobFacts& job, std::span<const CollectiveTime> times);

}  // namespace tutti
