#!/usr/bin/env bash
# ends_early.sh TUTTI MODELS: a batch that is told to end, by whatever Slurm does it, ends in order with code 75,
# goes back into the queue and goes on until all is answered: every request once.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh" "$1" "$2" 0
start_cluster
size=(--nodes=1 --ntasks-per-node=2 --cpus-per-task=1 --gpus-per-node=2)
batch=("$templates/requeue.sbatch" --device host --max-running 3)
make_requests_for 8 mpirun -n 2
make_reference 2
say "the undisturbed run"

# disturb WHAT COMMAND…: runs the command when the job has made some records.
disturb() {
  local what=$1 before
  shift
  rm -f "$OUTPUT"
  job=$(submit "${size[@]}" "${batch[@]}")
  wait_for_lines "$OUTPUT" 20 60
  "$@" || fail "$what"
  wait_for_state "$job" PENDING 60
  before=$(lines "$OUTPUT")
  ((before < $(lines "$INPUT"))) || fail "$what: it was over before"
  wait_until_done "$job"
  [[ $(job_field "$job" Restarts) == 1 ]] || fail "$what: wanted one restart, found $(job_field "$job" Restarts)"
  grep -q "ended early by" "$folder/job-$job.log" || fail "$what: the log does not say why it ended"
  grep -q "resuming .*: $before records" "$folder/job-$job.log" || fail "$what: it did not go on"
  compare "$OUTPUT"
  say "$what: $before records, then the rest"
}
disturb "USR1 to the ranks" eval 'slurm scancel --signal=USR1 "$job"'
disturb "TERM to the ranks" eval 'slurm scancel --signal=TERM "$job"'
disturb "USR1 to the script" eval 'slurm scancel --batch --signal=USR1 "$job"'
disturb "TERM to the script" eval 'slurm scancel --batch --signal=TERM "$job"'
# Somebody more important wants the node: Slurm asks the job to end and requeues it.
disturb "preemption" eval 'slurm srun --partition=urgent --exclusive --ntasks=1 true'

# Three things end a run at its time limit: what Slurm says is left of it, --time-limit, and a signal ahead of it.
# A minute is the shortest limit that Slurm has, and there is work for more than that. How far a run gets is not known:
# the input is cut when the first has ended, so that some are left for the others.
at_the_limit() { # WHAT REASON SECONDS SUBMIT-OPTION… -- BATCH-OPTION…
  local what=$1 reason=$2 seconds=$3 options=()
  shift 3
  while [[ $1 != -- ]]; do options+=("$1"); shift; done
  shift
  rm -f "$OUTPUT"
  make_requests_for 60 mpirun -n 2
  job=$(submit "${size[@]}" --time=1 "${options[@]}" "${batch[@]}" "$@")
  wait_for_lines "$OUTPUT" 1 60
  wait_for_state "$job" PENDING "$seconds"
  head -n $(($(lines "$OUTPUT") + 30)) "$INPUT" >"$folder/cut" && mv "$folder/cut" "$INPUT"
  grep -q "ended early by $reason" "$folder/job-$job.log" || fail "$what: wanted the reason '$reason'"
  wait_until_done "$job" 180
  (($(job_field "$job" Restarts) >= 1)) || fail "$what: wanted a restart"
  make_reference 2
  compare "$OUTPUT"
  say "$what: $(lines "$OUTPUT") records in $(($(job_field "$job" Restarts) + 1)) runs"
}
at_the_limit "the end of the allocation" "the time limit" 60 --signal=B:USR1@1 -- --grace-seconds 40
at_the_limit "a signal before the limit" "SIGUSR1" 60 --signal=B:USR1@45 -- --time-limit 1h
