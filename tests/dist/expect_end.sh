#!/bin/bash
# expect_end.sh CODES SECONDS PATTERN COMMAND…: passes where the command ends with one of CODES (5 or
# 5,75) within SECONDS, the last line of tutti on standard error matches PATTERN (an extended regular
# expression), and no process of the job is left.
set -u
codes=$1 seconds=$2 pattern=$3
shift 3
folder=$(mktemp -d) || exit 1
# shellcheck source=tests/dist/marked.sh
source "$(dirname "$0")/marked.sh"
mark "$folder"
job=(tutti job_fault_probe mpirun orterun orted)
finish() {
  kill_marked "${job[@]}"
  rm -rf "$folder"
}
trap finish EXIT
fail() {
  echo "FAILED: $*"
  exit 1
}
begin=$(date +%s%N)
timeout -k 5 $((seconds + 30)) "$@" >"$folder/out" 2>"$folder/err" </dev/null
found=$?
took=$((($(date +%s%N) - begin) / 1000000))
tail -n 40 "$folder/err"
echo "exit code: wanted $codes, found $found; $took ms, wanted at most $seconds s"
[[ ,$codes, == *,$found,* ]] || fail "the exit code"
((took <= seconds * 1000)) || fail "it took too long"
said=$(grep '^tutti: ' "$folder/err" | grep -v '^tutti: warning: ' | tail -n 1)
[[ $said =~ ^tutti:\ $pattern ]] || fail "the last line: wanted 'tutti: $pattern', found '$said'"
# mpirun does not wait until the system has cleared them away.
wait_until_none 50 "${job[@]}" || fail "processes are left: $(marked "${job[@]}")"
