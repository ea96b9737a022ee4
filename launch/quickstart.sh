#!/usr/bin/env bash
# From a bare Debian or Ubuntu machine to a real model that answers from two ranks: installs the
# packages, builds, fetches SmolLM2-135M-Instruct, imports it and asks it something. What is done
# already is skipped, so that a second run answers at once.
#
#   launch/quickstart.sh ["QUESTION"]
#
# TUTTI_RANKS=3 asks with another number of ranks. Everything is written to build/.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# shellcheck source=launch/packages.sh
source launch/packages.sh

question=${1:-Why does an orchestra need a conductor?}
ranks=${TUTTI_RANKS:-2}
build=build/quickstart
tutti=$build/bin/tutti
model=$build/smollm2-135m.h5

install_packages "${packages_build[@]}" "${packages_fetch[@]}"

# The build looks for itself whether there is anything to do.
log=$build/build.log
mkdir -p "$build"
[[ -x $tutti ]] || say "Building tutti into $build (some minutes; log: $log)"
{
  { [[ -f $build/build.ninja ]] || cmake --preset release -B "$build" -DTUTTI_TESTS=OFF; } &&
    cmake --build "$build" --target tutti -j "$(nproc)"
} >"$log" 2>&1 || { tail -n 30 "$log" >&2; die "the build failed, see $log"; }

export_mpi_settings
if [[ ! -f $model ]]; then
  say "Fetching SmolLM2-135M-Instruct"
  source=$(launch/fetch_smollm2.sh)
  say "Importing it into $model"
  "$tutti" import "$source" -o "$model"
fi

command=(mpirun -n "$ranks" "$tutti" generate "$model" --device host --chat
  --prompt "$question" --max-tokens 200)
say "Asking on $ranks ranks: $(printf '%q ' "${command[@]}")"
"${command[@]}"

cat >&2 <<END

More: $tutti generate $model      a conversation at the terminal
      $tutti inspect $model       what this file is
      $tutti --help
END
