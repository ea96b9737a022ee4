#!/bin/sh
# bench_scaling.sh CHECK WORLD ROWS COMMAND…: passes where `COMMAND --out FOLDER --json` ends well
# and CHECK finds nothing wrong with what it wrote and printed.
check=$1
world=$2
rows=$3
shift 3
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
"$@" --out "$folder/out" --json --quiet >"$folder/printed" </dev/null || exit 1
"$check" "$folder/out" "$world" "$rows" <"$folder/printed"
