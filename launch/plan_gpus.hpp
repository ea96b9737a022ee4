// Kinds of devices that a plan knows: launch/gpus.json, one entry each.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "launch/plan_speed.hpp"

namespace tutti {

struct GpuKind {
  std::string name;  // "a100-40"
  std::string title;
  std::vector<std::string> aliases;
  std::uint64_t memory_bytes = 0;  // as its driver reports it; 0: must be said
  std::string source;              // of its figures
  Link link = Link::plain;         // within a node
  bool host = false;               // CPUs
  SpeedConstants constants;
};

// share/tutti/gpus.json beside the program's folder, or the sources' own for a program of a build.
// Errors: ModelFileError where there is none.
std::filesystem::path gpus_file();
// Errors: ModelFileError that names the file and the kind: not JSON, a field that is missing or
// wrong, a constant that is not known, a name that is there twice.
std::vector<GpuKind> load_gpus(const std::filesystem::path& file);
// By name or alias, upper or lower case, "NVIDIA H100-80" too. Errors: UsageError that lists the
// known and suggests the nearest.
const GpuKind& gpu_named(const std::vector<GpuKind>& kinds, std::string_view name);

// "40GiB", "80 GB", "512M", bytes without a unit; K, M, G and T by themselves are powers of 1024,
// as Slurm has them. Errors: UsageError for anything that is not from 1 MiB to 1 PiB.
std::uint64_t parse_memory(const std::string& text);

}  // namespace tutti
