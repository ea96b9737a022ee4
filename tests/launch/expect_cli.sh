#!/bin/sh
# expect_cli.sh CODE MESSAGE COMMAND…: passes where the command ends with CODE, MESSAGE stands on
# standard error exactly once (where it is not empty) and a failure printed no results (unless
# RESULTS_TOO is set).
wanted=$1
message=$2
shift 2
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
"$@" >"$folder/out" 2>"$folder/err" </dev/null
found=$?
cat "$folder/out" "$folder/err"
echo "exit code: wanted $wanted, found $found"
[ "$found" -eq "$wanted" ] || exit 1
if [ -n "$message" ]; then
  times=$(grep -cF -- "$message" "$folder/err")
  echo "'$message': wanted 1 line, found $times"
  [ "$times" -eq 1 ] || exit 1
  said=$(grep -c '^tutti: ' "$folder/err")
  echo "lines of tutti: wanted 1, found $said"
  [ "$said" -eq 1 ] || exit 1
fi
if [ "$wanted" -ne 0 ] && [ -z "$RESULTS_TOO" ] && [ -s "$folder/out" ]; then
  echo "a failure printed results"
  exit 1
fi
