# Sourced by the tests of jobs under Slurm: a cluster that goes when the test ends, jobs that are waited
# for, batches whose answers are compared.
# shellcheck shell=bash disable=SC2034
#
#   source common.sh TUTTI MODELS NODES      MODELS: the folder of make_cli_models.sh
set -u
tutti=$(realpath "$1") model=$(realpath "$2")/m.h5 nodes=$3
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
templates=$here/../../launch/slurm
cluster=$here/cluster.sh
folder=$(mktemp -d) || exit 1
# The templates take these from the environment.
export TUTTI=$tutti MODEL=$model INPUT=$folder/in.jsonl OUTPUT=$folder/out.jsonl
export TUTTI_CLUSTER=$folder/cluster TUTTI_HOSTS=$folder/cluster/hosts
# Ranks are more than cores here: those that wait give way to those that compute.
export OMPI_MCA_mpi_yield_when_idle=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

finish() {
  local code=$?
  trap - EXIT
  "$cluster" down
  rm -rf "$folder"
  exit "$code"
}
fail() {
  echo "FAILED: $*"
  slurm squeue -l 2>/dev/null
  local log
  for log in "$folder"/*.log "$folder"/*.err; do [[ ! -e $log ]] || { echo "-- $log"; tail -n 25 "$log"; }; done
  exit 1
}
say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }

slurm() { "$cluster" run "$@"; }
on() { "$here/../support/hosts.sh" exec "$@"; }  # HOST COMMAND…

start_cluster() {
  local code=0
  trap finish EXIT
  "$cluster" up "$nodes" || code=$?
  ((code == 0)) || exit "$code"
  cd "$folder" || exit 1
  say "a cluster of $nodes nodes"
}

# submit TEMPLATE ARGUMENT…: the job's id. Templates are for larger nodes: what is given here overrides them.
submit() { slurm sbatch --parsable --output="$folder/job-%j.log" "$@"; }

job_field() { slurm scontrol -o show job "$1" | grep -oE " $2=[^ ]*" | head -n 1 | cut -d = -f 2; }

# Waits until the job is in one of the states (a pattern), at most so many seconds.
wait_for_state() { # JOB STATES SECONDS
  local end=$((SECONDS + $3)) state
  while true; do
    state=$(job_field "$1" JobState)
    [[ ! $state =~ ^($2)$ ]] || return 0
    [[ ! $state =~ ^(FAILED|CANCELLED|NODE_FAIL|TIMEOUT|COMPLETED)$ ]] || break
    ((SECONDS < end)) || break
    sleep 0.3
  done
  fail "job $1: wanted $2 within $3 s, found $state ($(job_field "$1" Reason), exit $(job_field "$1" ExitCode))"
}
wait_until_done() { wait_for_state "$1" COMPLETED "${2:-120}"; }

make_requests() { # NUMBER FILE
  local i
  for ((i = 1; i <= $1; i++)); do
    printf '{"custom_id": "r%d", "prompt": "request number %d", "max_tokens": %d, "temperature": 0.8, "seed": %d}\n' \
      "$i" "$i" $((20 + i % 20)) "$i"
  done >"$2"
}
# Requests that keep a batch of three at a time busy for about so many seconds, by what this machine does just now.
make_requests_for() { # SECONDS LAUNCHER…
  local seconds=$1 rate
  shift
  make_requests 60 "$folder/try.jsonl"
  rm -f "$folder/tried.jsonl"
  "$@" "$tutti" batch "$model" -i "$folder/try.jsonl" -o "$folder/tried.jsonl" --threads 1 --device host \
    --max-running 3 --progress none </dev/null 2>"$folder/try.err" || fail "a first batch ended with code $?"
  rate=$(grep -oE '[0-9.]+ requests/s' "$folder/try.err" | cut -d . -f 1 | cut -d ' ' -f 1)
  ((${rate:-0} > 0)) || fail "a first batch does not say its requests/s: $(tail -n 3 "$folder/try.err")"
  make_requests $((rate * seconds + 60)) "$INPUT"
  say "$(lines "$INPUT") requests, at $rate a second"
}
lines() { if [[ -e $1 ]]; then wc -l <"$1"; else echo 0; fi; }
wait_for_lines() { # FILE NUMBER SECONDS
  local end=$((SECONDS + $3))
  while (($(lines "$1") < $2)); do
    ((SECONDS < end)) || fail "$1: wanted $2 lines within $3 s, found $(lines "$1")"
    sleep 0.05
  done
}

# Records without the time at which they were made, sorted.
same_form() { sed 's/"created":[0-9]*//' "$@" | sort; }
# What the same number of ranks answers where nobody disturbs it.
make_reference() { # RANKS
  rm -f "$folder/reference.jsonl"
  mpirun -n "$1" "$tutti" batch "$model" -i "$INPUT" -o "$folder/reference.jsonl" --threads 1 --device host \
    --quiet </dev/null 2>"$folder/reference.err" || fail "the undisturbed run ended with code $?"
  same_form "$folder/reference.jsonl" >"$folder/reference"
}
# Every request once, and as in the undisturbed run.
compare() { # OUTPUT…
  local ids double
  double=$(grep -ho '"custom_id":"[^"]*"' "$@" | sort | uniq -d)
  [[ -z $double ]] || fail "answered twice: $double"
  ids=$(cat "$@" | wc -l)
  ((ids == $(lines "$INPUT"))) || fail "wanted $(lines "$INPUT") records, found $ids"
  same_form "$@" | cmp -s - "$folder/reference" || fail "answers differ from those of the undisturbed run"
  local output
  for output in "$@"; do [[ ! -e $output.lock ]] || fail "$output.lock is still there"; done
}

# Processes of this cluster's jobs: those whose environment names it and that run our program.
ranks_alive() {
  local entry
  for entry in /proc/[0-9]*; do
    if [[ $(readlink "$entry/exe" 2>/dev/null) == "$tutti" ]] &&
      grep -zqxF "SLURM_CONF=$folder/cluster/slurm.conf" "$entry/environ" 2>/dev/null; then
      echo "${entry#/proc/}"
    fi
  done
}
