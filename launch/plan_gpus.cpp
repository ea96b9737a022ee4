#include "launch/plan_gpus.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "kernels/error.hpp"
#include "launch/options.hpp"
#include "launch/suggest.hpp"
#include "runtime/weights/input.hpp"

namespace tutti {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kLargestFile = 1 << 20;

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

// "NVIDIA A100 80GB" and "a100_80gb" as the names are written: "a100-80gb".
std::string plain_name(std::string_view text) {
  std::string name = lower(text);
  if (name.starts_with("nvidia")) {
    name.erase(0, 6);
  }
  std::replace(name.begin(), name.end(), '_', '-');
  std::replace(name.begin(), name.end(), ' ', '-');
  name.erase(0, std::min(name.find_first_not_of('-'), name.size()));
  return name;
}

Link link_named(const std::string& name) {
  if (name == "nvlink") {
    return Link::nvlink;
  }
  if (name == "pcie" || name == "memory") {
    return Link::plain;
  }
  throw ModelFileError(fmt::format("field 'link' is \"{}\", wanted nvlink, pcie or memory", name));
}

void read_constants(const json& entry, SpeedConstants& constants) {
  for (const auto& [name, value] : entry.at("constants").items()) {
    const auto known = speed_constants();
    const auto found = std::find_if(known.begin(), known.end(),
                                    [&name = name](const auto& info) { return info.name == name; });
    if (found == known.end()) {
      throw ModelFileError(fmt::format("'{}' is no constant of the prediction", name));
    }
    if (!value.is_number() || value.get<double>() < 0) {
      throw ModelFileError(fmt::format("'{}' is {}, wanted a positive number", name, value.dump()));
    }
    constants.*found->member = value.get<double>();
  }
}

GpuKind kind_of(const json& entry) {
  GpuKind kind;
  kind.name = entry.at("name").get<std::string>();
  kind.title = entry.at("title").get<std::string>();
  kind.aliases = entry.value("aliases", std::vector<std::string>{});
  kind.source = entry.at("source").get<std::string>();
  kind.host = kind.name == "host";
  kind.link = link_named(entry.at("link").get<std::string>());
  const double gib = entry.at("memory_gib").get<double>();
  if (!(gib > 0 || (kind.host && gib == 0)) || gib > 1e6) {
    throw ModelFileError(fmt::format("field 'memory_gib' is {}, wanted a positive number", gib));
  }
  kind.memory_bytes = static_cast<std::uint64_t>(gib * 0x1p30);
  read_constants(entry, kind.constants);
  if (!kind.constants.known()) {
    throw ModelFileError("its constants lack read_gbs or tflops");
  }
  return kind;
}

}  // namespace

fs::path gpus_file() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path installed = (program.parent_path() / TUTTI_GPUS_INSTALLED).lexically_normal();
  if (!error && fs::is_regular_file(installed, error)) {
    return installed;
  }
  return TUTTI_GPUS_SOURCE;
}

std::vector<GpuKind> load_gpus(const fs::path& file) {
  std::vector<GpuKind> kinds;
  std::set<std::string> names;
  std::string at = "its list";
  try {
    const json object = json::parse(read_text(file, kLargestFile));
    for (const json& entry : object.at("kinds")) {
      at = entry.value("name", fmt::format("entry {}", kinds.size() + 1));
      kinds.push_back(kind_of(entry));
      std::vector<std::string> own = kinds.back().aliases;
      own.push_back(kinds.back().name);
      for (const std::string& name : own) {
        if (name != plain_name(name) || !names.insert(name).second) {
          throw ModelFileError(
              fmt::format("the name '{}' is there twice, or not in lower case", name));
        }
      }
    }
  } catch (const json::exception& error) {
    throw ModelFileError(fmt::format("{}: {}: {}", file.string(), at, error.what()));
  } catch (const ModelFileError& error) {
    throw ModelFileError(fmt::format("{}: {}: {}", file.string(), at, error.what()));
  }
  if (kinds.empty()) {
    throw ModelFileError(fmt::format("{}: wanted kinds of GPUs, found none", file.string()));
  }
  return kinds;
}

const GpuKind& gpu_named(const std::vector<GpuKind>& kinds, std::string_view name) {
  const std::string wanted = plain_name(name);
  std::vector<std::string> all;
  std::vector<std::string> shown;
  for (const GpuKind& kind : kinds) {
    if (kind.name == wanted ||
        std::find(kind.aliases.begin(), kind.aliases.end(), wanted) != kind.aliases.end()) {
      return kind;
    }
    shown.push_back(kind.name);
    all.push_back(kind.name);
    all.insert(all.end(), kind.aliases.begin(), kind.aliases.end());
  }
  const std::string meant = nearest(wanted, all);
  throw UsageError(fmt::format(
      "'{}' is no kind of GPU that is known{}: known are {}; for any other one say "
      "--device-memory, and --set read_gbs=… and tflops=… for a prediction",
      name, meant.empty() ? "" : ", did you mean '" + meant + "'?", fmt::join(shown, ", ")));
}

std::uint64_t parse_memory(const std::string& text) {
  static const std::vector<std::pair<std::string, double>> kUnits = {
      {"", 1},       {"b", 1},        {"k", 0x1p10},   {"kib", 0x1p10}, {"kb", 1e3},
      {"m", 0x1p20}, {"mib", 0x1p20}, {"mb", 1e6},     {"g", 0x1p30},   {"gib", 0x1p30},
      {"gb", 1e9},   {"t", 0x1p40},   {"tib", 0x1p40}, {"tb", 1e12}};
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string unit = lower(std::string_view(end, text.data() + text.size()));
  unit.erase(0, std::min(unit.find_first_not_of(' '), unit.size()));
  const auto found = std::find_if(kUnits.begin(), kUnits.end(),
                                  [&](const auto& known) { return known.first == unit; });
  const double bytes = error == std::errc() && found != kUnits.end() ? number * found->second : 0;
  if (!(bytes >= 0x1p20 && bytes <= 0x1p50)) {
    throw UsageError(fmt::format(
        "--device-memory wants bytes of one device, 1 MiB to 1 PiB, as 40GiB or 80GB, found '{}'",
        text));
  }
  return static_cast<std::uint64_t>(bytes);
}

}  // namespace tutti
