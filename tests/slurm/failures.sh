#!/usr/bin/env bash
# failures.sh TUTTI MODELS: what happens under srun when something dies in the middle of a batch on three nodes:
# seconds until every rank is gone and srun has returned, its exit code, the last line of ours. The rows of
# docs/errors.md for srun.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh" "$1" "$2" 3
start_cluster
make_requests 2000 "$INPUT"
echo "event | seconds | exit code | last line"

rank_pid() { # RANK
  local pid
  for pid in $(ranks_alive); do
    if grep -zqx "SLURM_PROCID=$1" "/proc/$pid/environ"; then echo "$pid"; fi
  done
}
# row EVENT CODES SECONDS COMMAND…: runs the command in the middle of a batch. `victim` is rank 1, `srun` the launcher.
row() {
  local event=$1 codes=$2 limit=$3 code=0 began took pid last
  shift 3
  rm -f "$OUTPUT" "$folder/row.err"
  (exec "$cluster" run srun --mpi=pmix --nodes=3 --ntasks-per-node=1 --kill-on-bad-exit=1 "$tutti" batch "$model" \
    -i "$INPUT" -o "$OUTPUT" --device host --max-running 3 --progress none --peer-timeout 10 \
    </dev/null 2>"$folder/row.err") &
  srun=$!
  wait_for_lines "$OUTPUT" 10 60
  victim=$(rank_pid 1)
  [[ -n $victim ]] || fail "$event: no rank 1"
  began=$(date +%s%N)
  "$@"
  # srun may hang: what is waited for has a limit.
  while kill -0 "$srun" 2>/dev/null && (($(date +%s%N) - began < limit * 1000000000)); do sleep 0.05; done
  kill -0 "$srun" 2>/dev/null && fail "$event: srun is there after $limit s"
  wait "$srun" || code=$?
  while [[ -n $(ranks_alive) ]]; do
    (($(date +%s%N) - began < limit * 1000000000)) || fail "$event: ranks are there after $limit s: $(ranks_alive)"
    sleep 0.1
  done
  took=$((($(date +%s%N) - began) / 100000000))
  last=$(grep '^tutti: rank ' "$folder/row.err" | tail -n 1)
  echo "$event | ${took%?}.${took: -1} | $code | ${last:-none}"
  [[ $code =~ ^($codes)$ ]] || fail "$event: wanted code $codes, found $code"
  cp "$folder/row.err" "$folder/row-${event// /_}.log"
}
row "kill -9 of a rank" 75 60 eval 'kill -9 "$victim"'
row "SIGSEGV of a rank" 75 60 eval 'kill -SEGV "$victim"'
row "SIGSTOP of a rank" 75 60 eval 'kill -STOP "$victim"'
row "kill -9 of srun" 137 60 eval 'kill -9 "$srun"'
row "SIGTERM to srun" '143|137' 60 eval 'kill -TERM "$srun"'
row "node cut off" 75 90 "$here/../support/hosts.sh" cut node2
"$here/../support/hosts.sh" heal node2
