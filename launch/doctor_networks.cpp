// The networks of a host, from sysfs.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "launch/doctor_probe.hpp"

namespace tutti {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code none;
  for (fs::directory_iterator at(folder, none), end; !none && at != end; at.increment(none)) {
    entries.push_back(at->path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

}  // namespace

std::vector<InterfaceReport> interfaces_that_are_up(const fs::path& sys) {
  std::vector<InterfaceReport> found;
  for (const fs::path& entry : sorted_entries(sys / "class/net")) {
    const std::string state = first_line(entry / "operstate");
    if (state != "up" && state != "unknown") {
      continue;
    }
    std::error_code none;
    InterfaceReport interface {
      .name = entry.filename().string(), .megabits = 0,
      .virtual_ = !fs::exists(entry / "device", none)
    };
    // -1 or nothing at all where the driver does not know.
    const std::string speed = first_line(entry / "speed");
    if (!speed.empty() && speed.find_first_not_of("0123456789") == std::string::npos &&
        speed.size() < 9) {
      interface.megabits = std::stoi(speed);
    }
    found.push_back(interface);
  }
  return found;
}

std::vector<std::string> fast_links_that_are_up(const fs::path& sys) {
  std::vector<std::string> found;
  for (const fs::path& device : sorted_entries(sys / "class/infiniband")) {
    for (const fs::path& port : sorted_entries(device / "ports")) {
      if (first_line(port / "state").find("ACTIVE") != std::string::npos) {
        found.push_back(fmt::format("{} port {}: {}, {}", device.filename().string(),
                                    port.filename().string(), first_line(port / "rate"),
                                    first_line(port / "link_layer")));
      }
    }
  }
  for (const fs::path& device : sorted_entries(sys / "class/cxi")) {  // Slingshot
    found.push_back(device.filename().string());
  }
  return found;
}

void SystemProbe::look_at_networks(RankReport& report) {
  report.interfaces = interfaces_that_are_up("/sys");
  report.fast_links = fast_links_that_are_up("/sys");
}

}  // namespace tutti
