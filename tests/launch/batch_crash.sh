#!/bin/bash
# batch_crash.sh KIND TRIALS RANKS TUTTI MODEL LAUNCHER…: ends `tutti batch` in the middle, runs it
# again, and passes where the output then holds every request once, equal to a run that nobody
# disturbed. KIND: root, other, launcher (kill -9 of these), term, usr1, interrupt, interrupt_twice,
# full (a limit on the file's size), tmpfs (a full disk; 77 where none can be mounted), random (a
# victim and a time by chance). TUTTI_CRASH_SEED repeats a random run; TUTTI_CRASH_DEVICE is where to
# compute (host); TUTTI_CRASH_TP and TUTTI_CRASH_TP_AGAIN are --tp of the run that is disturbed and of
# the one that goes on (all ranks).
set -u
kind=$1 trials=$2 ranks=$3 tutti=$4 model=$5
shift 5
folder=$(mktemp -d) || exit 1
requests=${TUTTI_CRASH_REQUESTS:-160}
case $kind in  # ranks notice only after a while; a signal must come before the run is over
  launcher | term | usr1 | interrupt) requests=500 ;;
esac
running=
tp=${TUTTI_CRASH_TP:-$((ranks > 0 ? ranks : 1))}
finish() {
  [ -z "$running" ] || family "$running" | xargs kill -9 2>/dev/null
  umount "$folder/disk" 2>/dev/null
  rm -rf "$folder"
}
trap finish EXIT
fail() {
  echo "FAILED: $*"
  tail -n 20 "$folder/log"
  exit 1
}

# The process and all that it started, parents first.
family() {
  local child
  echo "$1"
  for child in $(pgrep -P "$1"); do family "$child"; done
}
# Of the run in the background: pids of the ranks, in order of rank; and of mpirun.
rank_pids() { for p in $(family "$running"); do
  [ "$(cat "/proc/$p/comm" 2>/dev/null)" != tutti ] || echo "$p"; done | sort -n; }
launcher_pid() { for p in $(family "$running"); do
  case $(cat "/proc/$p/comm" 2>/dev/null) in mpirun | orterun | mpiexec*) echo "$p" ;; esac
done; }

for i in $(seq 1 "$requests"); do
  printf '{"custom_id": "r%s", "prompt": "request number %s", "max_tokens": %s, ' "$i" "$i" \
    $((40 + i % 40))
  printf '"temperature": 0.8, "seed": %s, "n": %s}\n' "$i" $((1 + (i % 9 == 0)))
done >"$folder/in.jsonl"
echo 'this line is no JSON' >>"$folder/in.jsonl"
records=$((requests + 1))

batch() { # OUTPUT LAUNCHER…
  local output=$1
  shift
  exec "$@" "$tutti" batch "$model" -i "$folder/in.jsonl" -o "$output" --threads 1 \
    --device "${TUTTI_CRASH_DEVICE:-host}" --tp "$tp" --max-running 3 --progress none --grace-seconds 30 </dev/null >>"$folder/log" 2>&1
}
# Records without the time at which they were made, sorted. Another --tp adds in another order, and a
# drawn token may then be another one: of such a run the ids alone are the same for sure.
same_form() {
  if [ -z "${TUTTI_CRASH_TP_AGAIN:-}" ]; then
    sed 's/"created":[0-9]*//' "$1" | sort
  else
    grep -o '"custom_id":[^,]*' "$1" | sort
  fi
}
lines() { if [ -e "$1" ]; then wc -l <"$1"; else echo 0; fi; }

# Waits until the output has as many lines, or the run is over.
wait_for_lines() { # OUTPUT LINES
  while [ "$(lines "$1")" -lt "$2" ] && kill -0 "$running" 2>/dev/null; do sleep 0.005; done
}
start() { # OUTPUT LAUNCHER…
  batch "$@" &
  running=$!
}
ended() {
  wait "$running"
  code=$?
  for p in $left_behind; do  # ranks whose mpirun was killed end by themselves
    while kill -0 "$p" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$p/status" 2>/dev/null; do
      sleep 0.01
    done
  done
  running=
}
complete() { # OUTPUT LAUNCHER…
  local output=$1
  tp=${TUTTI_CRASH_TP_AGAIN:-$tp}
  ( batch "$@" ) || fail "the run after it ended with code $?"
  [ "$(lines "$output")" -eq "$records" ] || fail "wanted $records records, found $(lines "$output")"
  same_form "$output" | diff -q - "$folder/reference" >/dev/null || fail "answers differ"
  [ ! -e "$output.lock" ] || fail "the lock is still there"
}

( batch "$folder/whole.jsonl" "$@" ) || fail "the undisturbed run ended with code $?"
same_form "$folder/whole.jsonl" >"$folder/reference"
[ "$(lines "$folder/whole.jsonl")" -eq "$records" ] || fail "the undisturbed run lacks records"

RANDOM=${TUTTI_CRASH_SEED:=$$}
echo "seed $RANDOM of $TUTTI_CRASH_SEED"
for trial in $(seq 1 "$trials"); do
  output=$folder/out.$trial.jsonl
  at=20
  what=$kind
  left_behind=
  if [ "$kind" = random ]; then
    kinds=(root launcher term usr1)
    [ "$ranks" -eq 1 ] || kinds+=(other)
    what=${kinds[RANDOM % ${#kinds[@]}]}
    at=$((RANDOM % records))
  fi
  case $what in
    full)  # from now on the file may grow by 4 KiB: MPI needs files of its own before
      start "$output" "$@"
      wait_for_lines "$output" 5
      prlimit --pid "$(rank_pids | head -n 1)" --fsize=$(($(wc -c <"$output") + 4096))
      ended
      [ $code -eq 1 ] || fail "a full disk: wanted code 1, found $code"
      grep -q 'cannot write .* bytes of answers: ' "$folder/log" || fail "no reason"
      ;;
    tmpfs)
      mkdir -p "$folder/disk"
      mount -t tmpfs -o size=24k none "$folder/disk" 2>/dev/null || { echo "no tmpfs here"; exit 77; }
      output=$folder/disk/out.jsonl
      ( batch "$output" "$@" )
      code=$?
      [ $code -eq 1 ] || fail "a full disk: wanted code 1, found $code"
      grep -q 'No space left on device' "$folder/log" || fail "no reason"
      mount -o remount,size=4m "$folder/disk"
      ;;
    *)
      start "$output" "$@"
      wait_for_lines "$output" "$at"
      [ "$kind" != random ] || sleep "0.0$((RANDOM % 60 + 10))"
      mapfile -t pids < <(rank_pids)
      left_behind="${pids[*]}"
      case $what in
        root) kill -9 "${pids[0]:-$running}" ;;
        other) kill -9 "${pids[-1]:-$running}" ;;
        launcher) kill -9 "$(launcher_pid)" ;;
        term) kill -TERM "${pids[-1]:-$running}" ;;
        usr1) kill -USR1 "${pids[-1]:-$running}" ;;
        interrupt) kill -INT "${pids[0]}" ;;
        interrupt_twice) while kill -INT "${pids[0]}"; do :; done ;;
      esac 2>/dev/null
      ended
      case $kind in
        term | usr1 | interrupt)
          [ $code -eq 75 ] || fail "wanted code 75, found $code"
          grep -q 'run the same command again' "$folder/log" || fail "what is left was not said"
          ;;
        launcher) [ $code -ne 0 ] || fail "wanted a failure, found code 0" ;;
        interrupt_twice) [ $code -eq 130 ] || fail "wanted code 130, found $code" ;;
        root | other)
          [ $code -gt 128 ] || fail "wanted an end by a signal, found code $code"
          ;;
      esac
      ;;
  esac
  before=$(lines "$output")
  [ "$kind" = random ] || [ "$kind" = launcher ] || [ "$before" -lt "$records" ] || fail "it was over before it was disturbed"
  complete "$output" "$@"
  echo "trial $trial: $what at $at, code $code, $before records kept"
  rm -f "$output"
done
