// scaling_files_check FOLDER WORLD ROWS: passes where the files of tutti bench scaling in FOLDER
// hold ROWS rows of a world of WORLD ranks, have every field, and their numbers follow from one
// another. stdin: the same object, as the program printed it.
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>

#include "tests/launch/xml_check.hpp"

namespace {

using nlohmann::json;

int faults = 0;

void want(bool holds, const std::string& what) {
  if (!holds) {
    fmt::print("wanted: {}\n", what);
    ++faults;
  }
}

void want_near(double found, double wanted, const std::string& what) {
  want(std::abs(found - wanted) <= 1e-9 * std::abs(wanted),
       fmt::format("{} = {}, found {}", what, wanted, found));
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  want(file.good(), path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

void check_identity(const json& all, std::size_t world) {
  want(all.at("benchmark") == "scaling", "benchmark scaling");
  want(all.at("model").at("fingerprint").get<std::string>().size() == 64, "a fingerprint");
  want(all.at("model").at("parameters").get<std::int64_t>() > 0, "parameters");
  want(!all.at("model").at("name").get<std::string>().empty(), "a name");
  want(!all.at("model").at("dtype").get<std::string>().empty(), "a dtype");
  want(!all.at("tutti").get<std::string>().empty(), "a version");
  want(all.at("command").get<std::string>().starts_with("tutti bench scaling "), "the command");
  want(all.at("world") == world, "the world");
  want(all.at("hosts").size() == world, "a host for each rank");
  want(all.at("devices").size() == world, "a device for each rank");
  want(all.at("workload").at("repeats").get<int>() >= 1, "repeats");
}

void check_row(const json& row, const json& all) {
  const std::string name = row.at("name");
  const double gpus = row.at("gpus").get<double>();
  want(gpus == row.at("ranks").get<int>() * row.at("replicas").get<int>(), name + ": gpus");
  want(row.at("fits") == true, name + " fits");
  const json& speed = row.at("output_tokens_per_second");
  const auto repeats = speed.at("repeats").get<std::vector<double>>();
  want(repeats.size() == all.at("workload").at("repeats").get<std::size_t>(), name + ": repeats");
  const double sum = std::accumulate(repeats.begin(), repeats.end(), 0.0);
  want_near(speed.at("mean"), sum / static_cast<double>(repeats.size()), name + ": mean");
  want(speed.at("least") <= speed.at("mean") && speed.at("mean") <= speed.at("most"),
       name + ": the mean between least and most");
  const double mean = speed.at("mean");
  want_near(row.at("output_tokens_per_second_per_gpu"), mean / gpus, name + ": per GPU");
  const double base = all.at("rows").at(0).at("output_tokens_per_second_per_gpu");
  want_near(row.at("efficiency"), mean / gpus / base, name + ": efficiency");
  want_near(row.at("cost_per_million_output_tokens"),
            all.at("price").at("per_gpu_hour").get<double>() * gpus * 1e6 / (mean * 3600),
            name + ": cost");
  want(row.at("load_seconds").get<double>() > 0, name + ": load time");
  want(row.contains("predicted"), name + ": predicted");
  const bool alone = row.at("replicas") == 1;
  want(row.at("seconds_per_token").is_null() != alone, name + ": latency without replicas");
  if (alone) {
    const json& token = row.at("seconds_per_token");
    want(token.at("least") <= token.at("p50") && token.at("p50") <= token.at("most"),
         name + ": the median between least and most");
    const double share = row.at("collective_share");
    want(share >= 0 && share <= 1 && (share > 0) == (gpus > 1), name + ": collective share");
  }
}

void check_verdicts(const json& all) {
  for (const std::string goal : {"throughput", "latency", "cost"}) {
    const json& verdict = all.at("verdicts").at(goal);
    bool known = false;
    for (const json& row : all.at("rows")) {
      known = known || row.at("name") == verdict.at("best");
    }
    want(known, goal + ": the best is a row");
    want(!verdict.at("text").get<std::string>().empty(), goal + ": a text");
    want(verdict.at("certain").is_boolean(), goal + ": certain or not");
  }
}

void check_files(const std::filesystem::path& folder, std::size_t rows) {
  const std::string csv = read_file(folder / "scaling.csv");
  want(static_cast<std::size_t>(std::count(csv.begin(), csv.end(), '\n')) == rows + 1,
       "a line of CSV for each row and the head");
  const std::string svg = read_file(folder / "scaling.svg");
  want(tutti::test::xml_fault(svg).empty(), "a sound SVG: " + tutti::test::xml_fault(svg));
  const std::string page = read_file(folder / "scaling.html");
  want(page.find("<svg ") != std::string::npos && page.find("<table>") != std::string::npos,
       "a page with plot and table");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print("usage: scaling_files_check FOLDER WORLD ROWS <OBJECT\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  const std::size_t rows = std::stoul(argv[3]);
  try {
    const json all = json::parse(read_file(folder / "scaling.json"));
    check_identity(all, std::stoul(argv[2]));
    want(all.at("rows").size() == rows, fmt::format("{} rows", rows));
    for (const json& row : all.at("rows")) {
      check_row(row, all);
    }
    check_verdicts(all);
    check_files(folder, rows);
    want(json::parse(std::cin) == all, "the file holds what was printed");
  } catch (const std::exception& error) {
    fmt::print("{}\n", error.what());
    return 1;
  }
  return faults == 0 ? 0 : 1;
}
