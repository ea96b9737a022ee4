#include "launch/together.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "kernels/error.hpp"

namespace tutti {
namespace {

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

// Collective. The failures of all ranks, by rank.
std::vector<RankFailure> gather_failures(ControlPlane& control, const std::string& host,
                                         const std::optional<Failure>& own) {
  using nlohmann::json;
  json mine = json::object();
  if (own) {
    mine = {{"code", static_cast<int>(own->code)}, {"message", own->message}, {"host", host}};
  }
  const auto all =
      control.all_gather(bytes_of(mine.dump(-1, ' ', false, json::error_handler_t::replace)));
  std::vector<RankFailure> failures;
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    const auto* begin = reinterpret_cast<const char*>(all[rank].data());
    const json found = json::parse(begin, begin + all[rank].size());
    if (!found.empty()) {
      failures.push_back({.rank = static_cast<int>(rank),
                          .host = found["host"],
                          .failure = {static_cast<ExitCode>(found["code"].get<int>()),
                                      found["message"].get<std::string>()}});
    }
  }
  return failures;
}

}  // namespace

Failure joint_failure(const std::vector<RankFailure>& failures, int ranks) {
  const RankFailure& first = failures.front();
  const bool alike_everywhere =
      static_cast<int>(failures.size()) == ranks &&
      std::all_of(failures.begin(), failures.end(),
                  [&](const RankFailure& f) { return f.failure.message == first.failure.message; });
  if (alike_everywhere) {
    return first.failure;
  }
  constexpr std::size_t kNamed = 4;
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < std::min(kNamed, failures.size()); ++i) {
    parts.push_back(fmt::format("rank {} of {} on {}: {}", failures[i].rank, ranks,
                                failures[i].host, failures[i].failure.message));
  }
  if (failures.size() > kNamed) {
    parts.push_back(fmt::format("and {} ranks more", failures.size() - kNamed));
  }
  return {first.failure.code, fmt::format("{}", fmt::join(parts, "\n  "))};
}

void together(ControlPlane& control, const std::string& host, const std::function<void()>& work) {
  std::optional<Failure> own;
  try {
    work();
  } catch (...) {
    own = failure_of(std::current_exception());
  }
  const std::vector<RankFailure> failures = gather_failures(control, host, own);
  if (!failures.empty()) {
    throw AgreedFailure(joint_failure(failures, control.size()));
  }
}

void groups_together(ControlPlane& control, const std::string& host,
                     const std::function<void()>& work) {
  std::optional<Failure> own;
  try {
    work();
  } catch (const AgreedFailure& agreed) {
    own = agreed.failure;
  }
  const std::vector<RankFailure> failures = gather_failures(control, host, own);
  if (!failures.empty()) {  // each group has said already which of its ranks it was
    throw AgreedFailure(joint_failure(failures, static_cast<int>(failures.size())));
  }
}

void on_root(ControlPlane& control, const std::function<void()>& work) {
  std::vector<std::byte> bytes;
  if (control.rank() == 0) {
    nlohmann::json outcome = nlohmann::json::object();
    try {
      work();
    } catch (...) {
      const Failure failure = failure_of(std::current_exception());
      outcome = {{"code", static_cast<int>(failure.code)}, {"message", failure.message}};
    }
    bytes = bytes_of(outcome.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  control.broadcast(bytes, 0);
  const auto* begin = reinterpret_cast<const char*>(bytes.data());
  const nlohmann::json outcome = nlohmann::json::parse(begin, begin + bytes.size());
  if (!outcome.empty()) {
    throw AgreedFailure(
        {static_cast<ExitCode>(outcome["code"].get<int>()), outcome["message"].get<std::string>()});
  }
}

void alike(const std::function<void()>& work) {
  try {
    work();
  } catch (const ConfigError&) {
    throw AgreedFailure(failure_of(std::current_exception()));
  } catch (const ModelFileError&) {
    throw AgreedFailure(failure_of(std::current_exception()));
  }
}

std::int64_t from_root(ControlPlane& control, std::int64_t number) {
  std::vector<std::byte> bytes(sizeof number);
  std::memcpy(bytes.data(), &number, sizeof number);
  control.broadcast(bytes, 0);
  std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}

}  // namespace tutti
