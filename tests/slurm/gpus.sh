#!/usr/bin/env bash
# gpus.sh TUTTI MODELS PROBE: GPUs as Slurm hands them out, on two nodes of four that are none: every rank takes
# another one, whether it sees all of its node's or only its own, by srun and by mpirun.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh" "$1" "$2" 2
probe=$(realpath "$3")
start_cluster

# expect WHAT VISIBLE COMMAND…: 4 ranks that see VISIBLE GPUs each and take 4 different ones, two on each node.
expect() {
  local what=$1 visible=$2 host
  shift 2
  slurm "$@" >"$folder/seen" 2>"$folder/probe.err" </dev/null || fail "$what: code $?"
  (($(lines "$folder/seen") == 4)) || fail "$what: wanted 4 ranks: $(cat "$folder/seen")"
  for host in node1 node2; do
    (($(grep -c "^$host " "$folder/seen") == 2)) || fail "$what: wanted 2 ranks on $host: $(cat "$folder/seen")"
  done
  [[ $(cut -d ' ' -f 3 "$folder/seen" | sort -u) == "$visible" ]] ||
    fail "$what: wanted $visible visible: $(cat "$folder/seen")"
  [[ -z $(cut -d ' ' -f 5 "$folder/seen" | sort | uniq -d) ]] || fail "$what: shared: $(cat "$folder/seen")"
  say "$what: $(tr '\n' ';' <"$folder/seen")"
}
ranks=(srun --mpi=pmix --nodes=2 --ntasks-per-node=2)
expect "all visible" 2 "${ranks[@]}" --gpus-per-node=2 "$probe"
expect "all visible, by gres" 4 "${ranks[@]}" --gres=gpu:4 "$probe"
expect "one each" 1 "${ranks[@]}" --gpus-per-task=1 "$probe"
expect "one each, bound" 1 "${ranks[@]}" --gpus-per-node=2 --gpu-bind=single:1 "$probe"
expect "mpirun, all visible" 2 salloc --quiet --nodes=2 --ntasks-per-node=2 --gpus-per-node=2 mpirun "$probe"

code=0
slurm "${ranks[@]}" --gpus-per-node=1 "$probe" >"$folder/seen" 2>"$folder/probe.err" </dev/null || code=$?
((code == 2)) || fail "two ranks on one GPU: wanted code 2, found $code"
grep -q 'one GPU each\|would share' "$folder/probe.err" || fail "two ranks on one GPU: wanted a refusal"
say "two ranks on one GPU are refused"
code=0
slurm "${ranks[@]}" "$probe" >"$folder/seen" 2>"$folder/probe.err" </dev/null || code=$?
((code != 0)) && grep -q 'CUDA_VISIBLE_DEVICES is empty' "$folder/probe.err" || fail "no GPU asked for: wanted a refusal"
say "no GPU asked for, none taken"

# What doctor says that each rank sees. (On one node: its timings are slow over a network that is none.)
slurm srun --mpi=pmix --nodes=1 --ntasks=2 --gpus-per-task=1 "$tutti" doctor --device host --json \
  >"$folder/doctor.json" 2>"$folder/doctor.err" </dev/null || fail "doctor: code $?"
for gpu in 0 1; do
  (($(grep -c "\"CUDA_VISIBLE_DEVICES\": \"$gpu\"" "$folder/doctor.json") == 1)) ||
    fail "doctor: wanted a rank that sees GPU $gpu: $(grep CUDA_VISIBLE "$folder/doctor.json")"
done
say "doctor shows CUDA_VISIBLE_DEVICES of each rank"
