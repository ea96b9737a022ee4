#!/bin/bash
# node_ends.sh KIND TUTTI PROBE MODEL PARAMS: jobs of three ranks on three hosts (tests/support/hosts.sh),
# under mpirun with the settings of PARAMS, launch/openmpi-mca-params.conf. Exit code 77 where no hosts
# can be made.
#   cut      node3 is cut off in the middle: mpirun notices and ends the job, rank 0 names rank 2
#   stopped  rank 2 is stopped: rank 0 names it from another host
#   woken    the same, and when mpirun wakes it to end it, it finds that rank 0 is gone
#   killed   rank 2 gets a SIGKILL: mpirun names it. Open MPI may end the others before one of them can
#   start    rank 2 sleeps before its weights: rank 0 names it
set -u
kind=$1 tutti=$2 probe=$3 model=$4 params=$5
hosts=$(realpath "$(dirname "$0")/../support/hosts.sh")
folder=$(mktemp -d) || exit 1
export TUTTI_HOSTS=$folder/hosts
finish() {
  "$hosts" down
  rm -rf "$folder"
}
trap finish EXIT
fail() {
  echo "FAILED: $*"
  tail -n 30 "$folder/err"
  exit 1
}
"$hosts" up 3 || exit $?

startup=40
[ "$kind" != start ] || startup=8
prompts=()
[ "$kind" = start ] || for i in $(seq 400); do prompts+=(-p "1 2 $((i % 200))"); done
# What a site would write into its file, faster: a test does not wait for half a minute.
settings=()
while read -r name _ value; do
  case $kind,$name in
    cut,oob_tcp_keepalive_time) value=2 ;;
    cut,oob_tcp_keepalive_*) value=1 ;;
  esac
  settings+=(--mca "$name" "$value")
done < <(grep -v '^ *\(#\|$\)' "$params")
job() { # PROGRAM ARGUMENTS…
  exec "$hosts" exec node1 env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
    mpirun --mca plm_rsh_agent "$hosts rsh" --host node1:1,node2:1,node3:1 --bind-to none \
    --mca btl_vader_single_copy_mechanism none --mca mpi_yield_when_idle 1 \
    --mca btl_tcp_if_include eth0 --mca oob_tcp_if_include eth0 "${settings[@]}" \
    "$@" --max-tokens 200 --ignore-eos --random-weights 7 --threads 1 --device host \
    --startup-timeout "$startup" >"$folder/out" 2>"$folder/err" </dev/null
}
begin() { # PROGRAM…
  job "$@" &
  running=$!
}
wait_for_start() {
  for _ in $(seq 600); do
    ! grep -q 'KV cache' "$folder/err" || { sleep 1; return; }
    sleep 0.1
  done
  fail "the run did not begin"
}
at=0
event() { at=$(date +%s%N); }
ends() { # CODES SECONDS PATTERN
  wait "$running"
  local code=$? took=$((($(date +%s%N) - at) / 1000000)) said
  grep -v '^loading' "$folder/err" | tail -n 20
  echo "exit code: wanted $1, found $code; $took ms after the event, wanted at most $2 s"
  [[ ,$1, == *,$code,* ]] || fail "the exit code"
  ((took <= $2 * 1000)) || fail "it took too long"
  said=$(grep '^tutti: ' "$folder/err" | grep -v '^tutti: warning: ' | tail -n 1)
  [ -z "$3" ] || [[ $said =~ $3 ]] || fail "the last line: wanted '$3', found '$said'"
}
none_left() { # on hosts that can be reached, and on the one that was cut off
  for _ in $(seq 200); do
    rest=$(for p in $(pgrep -f "[g]enerate $model"); do
      ! grep -qzs "^TUTTI_HOSTS=$folder/hosts\$" "/proc/$p/environ" || echo "$p"; done)
    [ -n "$rest" ] || return 0
    sleep 0.1
  done
  fail "processes are left: $rest"
}

silent="does not answer: it is stopped or has ended, or its node is cut off"
case $kind in
  cut)
    begin "$tutti" generate "$model" "${prompts[@]}" --peer-timeout 30
    wait_for_start
    event
    "$hosts" cut node3
    ends 205 25 "tutti: rank 2 on node3: running: $silent"
    ;;
  stopped | woken)
    fault=stop
    [ "$kind" = stopped ] || fault=wake
    begin "$probe" 2 running "$fault" generate "$model" "${prompts[@]}" --peer-timeout 6
    wait_for_start
    event
    ends 5 30 "tutti: rank 2 on node3: running: $silent"
    ;;
  killed)
    begin "$probe" 2 running kill generate "$model" "${prompts[@]}" --peer-timeout 6
    event
    ends 137 60 ""
    grep -q 'process rank 2 with PID .* on node node3 exited on signal 9' "$folder/err" ||
      fail "mpirun did not name rank 2"
    ;;
  start)
    event
    begin "$probe" 2 weights sleep generate "$model" -p 1 --peer-timeout 6
    ends 5 60 "tutti: rank 2 on node3: weights: has not arrived: alive"
    ;;
esac
none_left
