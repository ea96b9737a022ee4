#include "runtime/comm/agreement.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/error.hpp"

namespace tutti {
namespace {

std::vector<std::string> gather_text(ControlPlane& control, std::string_view text) {
  std::vector<std::string> result;
  for (const auto& bytes : control.all_gather(std::as_bytes(std::span(text)))) {
    result.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  return result;
}

// One value, who holds it, and the places where they found it, each once.
struct Holding {
  std::string value;
  std::vector<int> ranks;
  std::vector<std::string> places;
};

std::vector<Holding> group_by_value(const std::vector<std::string>& values,
                                    const std::vector<std::string>& places) {
  std::vector<Holding> holdings;
  for (std::size_t rank = 0; rank < values.size(); ++rank) {
    auto at = std::find_if(holdings.begin(), holdings.end(),
                           [&](const Holding& h) { return h.value == values[rank]; });
    if (at == holdings.end()) {
      holdings.push_back({.value = values[rank], .ranks = {}, .places = {}});
      at = holdings.end() - 1;
    }
    at->ranks.push_back(static_cast<int>(rank));
    if (std::find(at->places.begin(), at->places.end(), places[rank]) == at->places.end()) {
      at->places.push_back(places[rank]);
    }
  }
  return holdings;
}

}  // namespace

std::string describe_ranks(std::span<const int> ranks) {
  std::string text;
  for (std::size_t i = 0; i < ranks.size();) {
    std::size_t end = i + 1;
    while (end < ranks.size() && ranks[end] == ranks[end - 1] + 1) {
      ++end;
    }
    text += text.empty() ? "" : ", ";
    text +=
        end - i == 1 ? fmt::format("{}", ranks[i]) : fmt::format("{}-{}", ranks[i], ranks[end - 1]);
    i = end;
  }
  return fmt::format("{} {}", ranks.size() == 1 ? "rank" : "ranks", text);
}

void require_agreement(ControlPlane& control, std::string_view what, std::string_view mine,
                       std::string_view where) {
  const std::vector<std::string> values = gather_text(control, mine);
  const std::vector<std::string> places = gather_text(control, where);
  const std::vector<Holding> holdings = group_by_value(values, places);
  if (holdings.size() == 1) {
    return;
  }
  std::string found;
  for (const Holding& holding : holdings) {
    found += fmt::format("{}{} on {} ({})", found.empty() ? "" : "; ", holding.value,
                         describe_ranks(holding.ranks), fmt::join(holding.places, ", "));
  }
  throw ModelFileError(
      fmt::format("{} differs between ranks, wanted the same on all, found {}", what, found));
}

}  // namespace tutti
