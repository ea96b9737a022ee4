#!/usr/bin/env bash
# Each lint notices what it is there for: a tree with one offence of each kind is refused.
set -euo pipefail

lint=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/lint.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{kernels,runtime/comm,runtime/text,runtime/layers,models,launch,docs/decisions}

failures=0
# refuses CHECK FILE TEXT WANTED: CHECK fails over FILE with TEXT in it and says WANTED.
refuses() {
  local output status=0
  printf '%b' "$3" >"$tree/$2"
  output=$("$lint" "$1" "$tree" 2>&1) || status=$?
  rm "$tree/$2"
  if ((status == 77)); then
    echo "$1: skipped"
  elif ((status != 1)) || [[ $output != *"$4"* ]]; then
    echo "$1 on $2: wanted exit code 1 and \"$4\", found $status and: $output"
    failures=$((failures + 1))
  fi
}

refuses layering kernels/a.cpp '// A.\n#include "runtime/comm/b.hpp"\n' 'kernels/a.cpp'
refuses layering runtime/text/a.cpp '// A.\n#include "runtime/layers/b.hpp"\n' 'not below it'
refuses layering models/a.cpp '// A.\n#include "registry.hpp"\n' 'not a path from the root'
refuses third_parties launch/a.cpp '// A.\n#include <mpi.h>\n' 'runtime/comm/mpi_'
refuses third_parties runtime/comm/mpi_a.cpp '// A.\n#include <hdf5.h>\n' 'hdf5_'
refuses size launch/a.cpp "$(printf '// A.\\n%.0s' {1..501})" '501 lines'
refuses headers kernels/a.hpp '// A.\nint a();\n' 'pragma once'
refuses headers kernels/a.hpp '#pragma once\nint a();\n' 'what it is for'
refuses words launch/a.cpp '// see /root''/.profile\n' 'launch/a.cpp'
refuses families models/a.cpp '// A.\nconst Family kA{.name = "a",\n' "family 'a' has no shape"
refuses decisions docs/decisions/1.md "$(printf 'x\\n%.0s' {1..61})" '61 lines'
cp "$(dirname "$lint")/../../.clang-format" "$tree/"
refuses format launch/a.cpp '// A.\nint  a( );\n' 'launch/a.cpp'

# What is right passes.
printf '// A.\n#include <mpi.h>\n\n#include "kernels/b.hpp"\n' >"$tree/runtime/comm/mpi_a.cpp"
for check in layering third_parties size headers words decisions; do
  "$lint" "$check" "$tree" || { echo "$check refuses a good tree"; failures=$((failures + 1)); }
done
((failures == 0))
