#!/bin/sh
# batch_resume.sh TUTTI MODEL LAUNCHER…: a batch from file to file and from pipe to pipe, gone on
# with, changed, and cut at its time limit. TUTTI_BATCH_TP: --tp of every other run (all ranks).
tutti=$1
model=$2
shift 2
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
fail() {
  echo "FAILED: $*"
  cat "$folder/log"
  exit 1
}
in=tests/launch/batch_requests.jsonl
out=$folder/out.jsonl
turn=0
batch() { # … tutti batch …
  turn=$((1 - turn))
  [ $turn -eq 0 ] || [ -z "${TUTTI_BATCH_TP:-}" ] || set -- "$@" --tp "$TUTTI_BATCH_TP"
  "$@" --threads 1 --device host >"$folder/results" 2>"$folder/log"
}
says() { grep -qF -- "$1" "$folder/log" || fail "'$1' was not said"; }
records() { [ "$(wc -l <"$1")" -eq "$2" ] || fail "wanted $2 records in $1, found $(wc -l <"$1")"; }
form() { sed 's/"created":[0-9]*//' "$1" | sort; }

batch "$@" "$tutti" batch "$model" -i $in -o "$out" --report "$folder/r.json" \
  --metrics-file "$folder/m.prom" </dev/null || fail "the first run"
records "$out" 8
says 'answered 4, errors 4, skipped 0'
grep -q '"reason": "all answered"' "$folder/r.json" || fail "the report lacks its reason"
grep -q '^tutti_batch_answered_total 4$' "$folder/m.prom" || fail "the metrics lack the answers"
if [ -n "${TUTTI_BATCH_TP:-}" ]; then
  grep -q "\"tensor_ranks\": $TUTTI_BATCH_TP" "$folder/r.json" || fail "the report lacks --tp"
  says 'replica 1: answered'
fi
[ ! -s "$folder/results" ] || fail "something stands on standard output"

cp "$out" "$folder/before"
batch "$@" "$tutti" batch "$model" -i $in -o "$out" </dev/null || fail "the second run"
says 'answered 0, errors 0, skipped 8'
cmp -s "$out" "$folder/before" || fail "a run with nothing to do changed the output"

sed 's/to be/or not/' $in >"$folder/changed.jsonl"
batch "$@" "$tutti" batch "$model" -i "$folder/changed.jsonl" -o "$out" </dev/null ||
  fail "the changed run"
says 'answered 1, errors 0, skipped 7 of an earlier run, 1 again because they had changed'
records "$out" 8

batch "$@" "$tutti" batch "$model" -i $in -o "$out" --max-tokens 9 </dev/null ||
  fail "other defaults"
records "$out" 8
batch "$@" "$tutti" batch "$model" -i $in -o "$out" --overwrite </dev/null || fail "--overwrite"
form "$out" >"$folder/again"
form "$folder/before" | cmp -s - "$folder/again" || fail "answers differ from those before"

# From a pipe to standard output.
"$@" "$tutti" batch "$model" -i - -o - -q --threads 1 --device host \
  ${TUTTI_BATCH_TP:+--tp "$TUTTI_BATCH_TP"} <$in >"$folder/piped" \
  2>"$folder/log" || fail "from pipe to pipe"
form "$folder/piped" | cmp -s - "$folder/again" || fail "answers by a pipe differ"

# No time at all: nothing is begun, the next run does it.
batch "$@" "$tutti" batch "$model" -i $in -o "$folder/late" --time-limit 0 --grace-seconds 0 \
  </dev/null
[ $? -eq 75 ] || fail "wanted code 75 at the time limit"
says 'ended early by the time limit'
batch "$@" "$tutti" batch "$model" -i $in -o "$folder/late" </dev/null || fail "the run after it"
form "$folder/late" | cmp -s - "$folder/again" || fail "answers after the time limit differ"
echo "all as it should be"
