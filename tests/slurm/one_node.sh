#!/usr/bin/env bash
# one_node.sh TUTTI MODELS: the launch templates on a Slurm of one node, this machine: dry runs, srun, mpirun
# inside an allocation, a job array, an import that a batch waits for; standard input; worlds of one.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh" "$1" "$2" 0
start_cluster
models=$(dirname "$model")
# What this small node has, in place of what the templates ask for.
small=(--nodes=1 --ntasks-per-node=2 --cpus-per-task=1 --gpus-per-node=2)
one=(--ntasks=1 --cpus-per-task=1)

for template in "$templates"/*.sbatch; do
  size=("${small[@]}")
  case $template in
    */nodes.sbatch) size=(--nodes=1 --ntasks-per-node=2 --cpus-per-task=1) ;;
    */import.sbatch) size=("${one[@]}") ;;
  esac
  slurm sbatch --test-only "${size[@]}" "$template" 2>"$folder/dry.err" || fail "dry run of $template"
  grep -q 'to start at' "$folder/dry.err" || fail "dry run of $template: no start"
done
say "dry runs of all templates"

make_requests 24 "$INPUT"
make_reference 2

job=$(submit "${small[@]}" "$templates/one_node.sbatch" --device host --report "$folder/report.json")
wait_until_done "$job"
compare "$OUTPUT"
grep -q "\"$job\"\|: $job" "$folder/report.json" || fail "the report does not name job $job"
say "srun on one node"
rm "$OUTPUT"

# As on several nodes, where three_nodes.sh leaves the doctor out.
job=$(DEVICE=host submit --nodes=1 --ntasks-per-node=2 --cpus-per-task=1 "$templates/nodes.sbatch")
wait_until_done "$job"
compare "$OUTPUT"
grep -q '^healthy' "$folder/job-$job.log" || fail "the doctor did not say that all is well"
say "doctor, then srun"
rm "$OUTPUT"

job=$(submit "${small[@]}" "$templates/mpirun.sbatch" --device host)
wait_until_done "$job"
compare "$OUTPUT"
say "mpirun inside an allocation"
rm "$OUTPUT"

# Three shards, two at a time; then one of them again.
job=$(SHARDS=3 submit --array=0-2%2 --ntasks-per-node=2 --cpus-per-task=1 --gpus-per-node=2 \
  "$templates/array.sbatch" --device host)
for task in 0 1 2; do wait_until_done "${job}_$task"; done
compare "$OUTPUT".[012].jsonl
head -n 3 "$OUTPUT.2.jsonl" >"$folder/part" && mv "$folder/part" "$OUTPUT.2.jsonl"
job=$(SHARDS=3 submit --array=2 --ntasks-per-node=2 --cpus-per-task=1 --gpus-per-node=2 \
  "$templates/array.sbatch" --device host)
wait_until_done "${job}_2"
compare "$OUTPUT".[012].jsonl
say "a job array over shards, one of them twice"

# The second job begins when the first has made the model; where that fails it never does.
import_then_batch() { # SOURCE MODEL
  slurm env SOURCE="$1" MODEL="$2" SBATCH_OUTPUT="$folder/job-%j.log" SBATCH_CPUS_PER_TASK=1 \
    "$folder/import_then_batch.sh" "${small[@]}" --output="$folder/job-%j.log" | grep -oE '[0-9]+$'
}
# The templates as they are ask for more CPUs than this node has.
for name in import.sbatch requeue.sbatch import_then_batch.sh; do
  sed 's/--cpus-per-task=8/--cpus-per-task=1/' "$templates/$name" >"$folder/$name"
done
chmod +x "$folder/import_then_batch.sh"
cp -r "$models/source" "$folder/tiny"  # a model is called as its folder is
job=$(import_then_batch "$folder/tiny" "$folder/new.h5")
wait_until_done "$job"
compare "$OUTPUT"
say "a batch after an import"
job=$(import_then_batch "$folder/nowhere" "$folder/never.h5")
wait_for_state "$job" CANCELLED 60
[[ ! -e $folder/never.h5 ]] || fail "a model was made of nothing"
say "no batch after an import that failed"

# srun gives standard input to every rank: one of them reads it, the answer comes once.
# (mpirun and srun of a shell: srun itself must not wait for a terminal.)
printf 'to be' | slurm srun --mpi=pmix -n 2 "$tutti" generate "$model" --device host --quiet --max-tokens 8 \
  --json >"$folder/answer" 2>"$folder/generate.err" || fail "generate under srun"
(($(lines "$folder/answer") == 1)) || fail "wanted one answer, found $(lines "$folder/answer")"
say "a prompt by standard input under srun"

# Without a PMI there are as many worlds as tasks. Debian's Open MPI refuses that by itself where it sees
# that srun started it; as an MPI that does not, it is said by us, once.
code=0
slurm srun --mpi=none -n 3 env -u SLURM_NODELIST "$tutti" generate "$model" --prompt x \
  --device host >"$folder/answer" 2>"$folder/alone.err" || code=$?
((code == 2)) || fail "worlds of one: wanted code 2, found $code"
(($(grep -c -e '--mpi=pmix' "$folder/alone.err") == 1)) || fail "worlds of one: wanted the remedy once"
[[ ! -s $folder/answer ]] || fail "a world of one answered"
code=0
slurm srun --mpi=none -n 3 "$tutti" generate "$model" --prompt x --device host >"$folder/answer" \
  2>"$folder/alone.err" || code=$?
((code != 0)) || fail "srun without a PMI: wanted a failure"
[[ ! -s $folder/answer ]] || fail "a world of one answered"
say "worlds of one are refused"
slurm sbatch --parsable -n 2 --wait-all-nodes=1 --output="$folder/alone.log" --wrap \
  "$tutti generate $model --prompt x --device host --max-tokens 1" >"$folder/id"
wait_until_done "$(cat "$folder/id")"
grep -q 'that no launcher started' "$folder/alone.log" || fail "a program without a launcher: wanted a warning"
say "one process in an allocation of two is warned of"
