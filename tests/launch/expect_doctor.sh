#!/bin/sh
# expect_doctor.sh CODE PATTERN COMMAND…: passes where the command ends with CODE and one line of
# the report on its standard output matches PATTERN (extended).
wanted=$1
pattern=$2
shift 2
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
"$@" >"$folder/out" 2>"$folder/err" </dev/null
found=$?
cat "$folder/out" "$folder/err"
echo "exit code: wanted $wanted, found $found"
[ "$found" -eq "$wanted" ] || exit 1
times=$(grep -acE -- "$pattern" "$folder/out")
echo "'$pattern': wanted 1 line, found $times"
[ "$times" -eq 1 ]
