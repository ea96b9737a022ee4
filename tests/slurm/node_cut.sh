#!/usr/bin/env bash
# node_cut.sh TUTTI MODELS HOST…: one of three nodes is cut off in the middle of a batch. The job goes back into the
# queue, by itself or by Slurm, and answers the rest when the node is back: every request once.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh" "$1" "$2" 3
start_cluster
size=(--nodes=3 --ntasks-per-node=1 --cpus-per-task=1 --gpus-per-node=1)
make_requests 120 "$INPUT"
make_reference 3
say "the undisturbed run"

# cut_off HOST: node1 has the script and rank 0, which writes the output.
cut_off() {
  local job before
  rm -f "$OUTPUT"
  job=$(submit "${size[@]}" "$templates/requeue.sbatch" --device host --max-running 3)
  wait_for_lines "$OUTPUT" 20 60
  "$here/../support/hosts.sh" cut "$1"
  before=$SECONDS
  wait_for_state "$job" PENDING 150
  say "$1 cut off: the job is back in the queue after $((SECONDS - before)) s"
  (($(lines "$OUTPUT") < $(lines "$INPUT"))) || fail "it was over before the cut"
  # The node starts anew: ranks of the first run that lived on would have the names of those of the second, by
  # which Open MPI takes one for the other, and slurmd does not start a job that it still has.
  "$cluster" reboot "$1"
  wait_until_done "$job" 180
  compare "$OUTPUT"
  [[ -z $(ranks_alive) ]] || fail "ranks are left: $(ranks_alive)"
  say "$1 cut off: all $(lines "$OUTPUT") records, once"
}
for host in "${@:3}"; do cut_off "$host"; done
for host in node1 node2 node3; do
  left=$(on "$host" find /dev/shm -mindepth 1)
  [[ -z $left ]] || fail "$host: left in /dev/shm: $left"
done
