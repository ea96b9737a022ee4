// How long a run may take: what the user says, or what is left of the Slurm allocation.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace tutti {

// "90", "90s", "15m", "2h", "1d", "MM:SS", "H:MM:SS", "D-H:MM:SS"; nothing where it is none of
// them.
std::optional<std::chrono::seconds> parse_duration(std::string_view text);

// What Slurm's squeue says in "%L"; nothing for UNLIMITED, NOT_SET, INVALID.
std::optional<std::chrono::seconds> parse_slurm_left(std::string_view text);

// Of the Slurm job that this process is in: by SLURM_JOB_END_TIME, else by asking squeue, which may
// take some seconds. Nothing outside of Slurm, without a limit, or where nobody answers.
std::optional<std::chrono::seconds> slurm_time_left();

}  // namespace tutti
