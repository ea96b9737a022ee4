#!/usr/bin/env bash
# soak.sh MINUTES TUTTI MODELS: batch after batch under a Slurm of three nodes, each disturbed a few times by chance:
# ranks killed, crashed or stopped for a while, a node cut off for a while, signals, requeues, srun killed. A job that failed is submitted
# again. Counts what was lost, doubled, other than undisturbed, or left over, and prints a summary. Exit code 1 where
# a count is not 0. Not a part of the CI: see docs/running_on_clusters.md. TUTTI_SOAK_SEED repeats a choice of disturbances.
# shellcheck source-path=SCRIPTDIR source=common.sh
minutes=$1
source "$(dirname "$0")/common.sh" "$2" "$3" 3
start_cluster
end=$((SECONDS + minutes * 60))
RANDOM=${TUTTI_SOAK_SEED:=$$}
echo "seed $TUTTI_SOAK_SEED"
make_requests 150 "$INPUT"
make_reference 6
say "the undisturbed run"

kinds=(kill crash stop cut usr1 term script requeue srun)
declare -A disturbed
batches=0 records=0 restarts=0 resubmitted=0 resumed=0 hung=0 lost=0 doubled=0 different=0 locks=0 processes=0 shm=0
resident=()

srun_pid() {
  local entry
  for entry in /proc/[0-9]*; do
    if [[ $(cat "$entry/comm" 2>/dev/null) == srun ]] &&
      grep -zqxF "SLURM_CONF=$folder/cluster/slurm.conf" "$entry/environ" 2>/dev/null; then
      echo "${entry#/proc/}"
    fi
  done | head -n 1
}
start_job() {
  submit --nodes=3 --ntasks-per-node=2 --cpus-per-task=1 --gpus-per-node=2 --time=10 "$templates/requeue.sbatch" \
    --device host --max-running 16 --grace-seconds 5 --report "$folder/report.json"
}
disturb() { # KIND JOB
  local pids host
  mapfile -t pids < <(ranks_alive)
  ((${#pids[@]})) || return 1
  local victim=${pids[RANDOM % ${#pids[@]}]}
  case $1 in
    kill) kill -9 "$victim" ;;
    crash) kill -SEGV "$victim" ;;
    stop)
      kill -STOP "$victim"
      sleep $((1 + RANDOM % 10))
      kill -CONT "$victim"
      ;;
    cut)
      host=node$((1 + RANDOM % 3))
      "$here/../support/hosts.sh" cut "$host"
      sleep $((2 + RANDOM % 45))
      "$here/../support/hosts.sh" heal "$host"
      ;;
    usr1) slurm scancel --signal=USR1 "$2" ;;
    term) slurm scancel --signal=TERM "$2" ;;
    script) slurm scancel --batch --signal=USR1 "$2" ;;
    requeue) slurm scontrol requeue "$2" ;;
    srun) kill -9 "$(srun_pid)" ;;
  esac 2>/dev/null
}
# What an administrator does: Slurm drains a node where it finds the job's first run still ending when it starts the
# second ("Duplicate jobid"), and holds the job.
administer() { # JOB
  local node
  for node in $(slurm sinfo -h -N -p debug -t drained -o %N); do
    slurm scontrol update nodename="$node" state=resume && resumed=$((resumed + 1))
  done
  [[ $(job_field "$1" Reason) != *[Hh]eld* ]] || slurm scontrol release "$1"
}
# Until all is answered; a batch that nothing brings to its end in ten minutes hangs.
run_batch() {
  local job state left=$((1 + RANDOM % 3)) limit=$((SECONDS + 600)) kind pid
  job=$(start_job)
  while true; do
    state=$(job_field "$job" JobState)
    case $state in
      COMPLETED) break ;;
      FAILED | CANCELLED | NODE_FAIL | TIMEOUT)
        restarts=$((restarts + $(job_field "$job" Restarts)))
        resubmitted=$((resubmitted + 1))
        job=$(start_job)
        ;;
      PENDING) administer "$job" ;;
      RUNNING)
        if ((left > 0)) && [[ -n $(ranks_alive) ]]; then
          sleep "$((RANDOM % 5)).$((RANDOM % 10))"
          kind=${kinds[RANDOM % ${#kinds[@]}]}
          if disturb "$kind" "$job"; then
            disturbed[$kind]=$((${disturbed[$kind]:-0} + 1))
            left=$((left - 1))
          fi
        fi
        ;;
    esac
    if ((SECONDS > limit)); then
      hung=$((hung + 1))
      slurm scancel "$job"
      for pid in $(ranks_alive); do kill -9 "$pid"; done
      return
    fi
    sleep 0.5
  done
  restarts=$((restarts + $(job_field "$job" Restarts)))
}
# Into the counts: records of the batch, and what it left behind.
count_batch() {
  local ids host i
  batches=$((batches + 1))
  records=$((records + $(lines "$OUTPUT")))
  ids=$(grep -o '"custom_id":"[^"]*"' "$OUTPUT" | sort)
  doubled=$((doubled + $(uniq -d <<<"$ids" | wc -l)))
  lost=$((lost + $(lines "$INPUT") - $(uniq <<<"$ids" | wc -l)))
  different=$((different + $(same_form "$OUTPUT" | comm -13 "$folder/reference" - | wc -l)))
  [[ ! -e $OUTPUT.lock ]] || locks=$((locks + 1))
  for ((i = 0; i < 60; i++)); do
    [[ -n $(ranks_alive) ]] || break
    sleep 0.5
  done
  processes=$((processes + $(ranks_alive | wc -l)))
  for host in node1 node2 node3; do
    shm=$((shm + $(on "$host" find /dev/shm -mindepth 1 -delete -print | tee -a "$folder/shm.txt" | wc -l)))
  done
  resident+=("$(grep -oE '"peak_resident_bytes": [0-9]+' "$folder/report.json" | grep -oE '[0-9]+$')")
}
while ((SECONDS < end)); do
  rm -f "$OUTPUT" "$folder"/job-*.log
  run_batch
  count_batch
  say "batch $batches: $(lines "$OUTPUT") records; so far lost $lost, doubled $doubled, different $different, in /dev/shm $shm"
done

mean_mib() { printf '%s\n' "$@" | awk '{ sum += $1 } END { printf "%.1f", sum / NR / 1048576 }'; }
half=$(((${#resident[@]} + 1) / 2))
temporary=$(find "$folder/cluster/tmp" "$folder/cluster/hosts/tmp" -mindepth 2 -type f | wc -l)
echo
echo "minutes                  $((SECONDS / 60))"
echo "batches                  $batches of $(lines "$INPUT") requests on 3 nodes of 2 ranks"
echo "records                  $records"
echo "disturbances             $(for kind in "${kinds[@]}"; do printf '%s %d, ' "$kind" "${disturbed[$kind]:-0}"; done | sed 's/, $//')"
echo "requeued                 $restarts times; submitted again after a failure $resubmitted times"
echo "nodes resumed            $resumed times, which Slurm had drained because the first run still ended"
echo "hung                     $hung"
echo "lost                     $lost"
echo "doubled                  $doubled"
echo "other than undisturbed   $different"
echo "locks left               $locks"
echo "processes left           $processes"
echo "files left in /dev/shm   $shm"
echo "temporary files left     $temporary"
echo "peak memory of rank 0    $(mean_mib "${resident[@]:0:half}") MiB in the first half of the batches, $(mean_mib "${resident[@]: -half}") MiB in the second"
((hung + lost + doubled + different + locks + processes + shm == 0))
