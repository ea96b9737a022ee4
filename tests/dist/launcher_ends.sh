#!/bin/bash
# launcher_ends.sh KIND TUTTI MODEL LAUNCHER…: kills mpirun in the middle of a run of three ranks; passes
# where every rank is gone within 15 s and the same command then works. KIND: kill, terminate.
set -u
kind=$1 tutti=$2 model=$3
shift 3
folder=$(mktemp -d) || exit 1
# shellcheck source=tests/dist/marked.sh
source "$(dirname "$0")/marked.sh"
mark "$folder"
finish() {
  kill_marked tutti
  rm -rf "$folder"
}
trap finish EXIT
fail() {
  echo "FAILED: $*"
  tail -n 30 "$folder/err"
  exit 1
}
# Prompts enough for minutes.
prompts=()
for i in $(seq 400); do prompts+=(-p "1 2 $((i % 200))"); done
"$@" "$tutti" generate "$model" "${prompts[@]}" --max-tokens 200 --ignore-eos --random-weights 7 \
  --threads 1 --device host >"$folder/out" 2>"$folder/err" </dev/null &
running=$!
for _ in $(seq 600); do
  ! grep -q 'KV cache' "$folder/err" || break
  sleep 0.1
done
grep -q 'KV cache' "$folder/err" || fail "the run did not begin"
sleep 0.5
launcher=$(marked mpirun orterun mpiexec | head -n 1)
[ -n "$launcher" ] || fail "no mpirun is there"
begin=$(date +%s%N)
if [ "$kind" = kill ]; then kill -9 "$launcher"; else kill -TERM "$launcher"; fi
wait "$running"
code=$?
wait_until_none 150 tutti || fail "ranks are left: $(marked tutti)"
echo "exit code $code; all gone after $((($(date +%s%N) - begin) / 1000000)) ms"
[ "$code" -ne 0 ] || fail "it ended as a success"
"$@" "$tutti" generate "$model" -p "1 2 3" --max-tokens 4 --random-weights 7 --threads 1 --device host \
  --quiet >"$folder/out" 2>>"$folder/err" </dev/null || fail "the next run ended with $?"
[ -s "$folder/out" ] || fail "the next run said nothing"
