#!/usr/bin/env bash
# A real Slurm for tests: munge, slurmctld and slurmd with all their state in one scratch folder.
#
#   export TUTTI_CLUSTER=FOLDER     the scratch folder, new or empty
#   cluster.sh up 0                 one node, this machine itself
#   cluster.sh up N                 N nodes node1 … nodeN on hosts of their own (tests/support/hosts.sh),
#                                   the controller on the host hub
#   cluster.sh run COMMAND…         runs a command where users would: sbatch, squeue, … find this Slurm
#   cluster.sh reboot NODE          everything on the node ends, its link is up, slurmd starts anew
#   cluster.sh down                 ends the daemons by their pid files, then the hosts
#
# Each node has 4 CPUs and 4 GPUs that are none (character devices of no use), so that Slurm sets
# CUDA_VISIBLE_DEVICES. Partitions: `debug`, and `urgent` which preempts it by requeueing. A job is
# requeued after some 6 s and a silent node given up after some 30 s, instead of minutes.
# Exit code 77 of `up`: no Slurm here, or no rights to run it, with the reason.
set -euo pipefail

state=$(realpath -m "${TUTTI_CLUSTER:?wanted a scratch folder in TUTTI_CLUSTER}")
hosts=$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../support/hosts.sh
export TUTTI_HOSTS=$state/hosts SLURM_CONF=$state/slurm.conf

die() { echo "cluster.sh: $*" >&2; exit 1; }
skip() { echo "cluster.sh: skipped: $*"; exit 77; }

on_controller() { if [[ -e $state/hosts ]]; then "$hosts" exec hub "$@"; else "$@"; fi; }
on_node() { if [[ -e $state/hosts ]]; then "$hosts" exec "$@"; else "${@:2}"; fi; }

# As Debian's packages name the programs; some live where only root looks.
PATH=$PATH:/usr/sbin:/sbin

require_slurm() {
  ((EUID == 0)) || skip "a Slurm of one's own wants root"
  local tool
  for tool in munged mungekey slurmctld slurmd srun sbatch; do
    command -v "$tool" >/dev/null || skip "there is no $tool here (slurm-wlm, munge)"
  done
}

# A port nobody listens on, and the next one neither.
free_port() {
  local port
  while true; do
    port=$((20000 + RANDOM % 10000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null ||
      (exec 3<>"/dev/tcp/127.0.0.1/$((port + 1))") 2>/dev/null || break
  done
  echo "$port"
}

write_conf() { # NODES
  local port=6817 controller="hub(10.77.0.254)" names="node[1-$1]" own
  own=$(hostname -s)
  if (($1 == 0)); then
    port=$(free_port)
    controller="$own(127.0.0.1)" names="$own NodeAddr=127.0.0.1"
  fi
  cat >"$SLURM_CONF" <<END
ClusterName=tutti
SlurmctldHost=$controller
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$state/run/munge.socket,cred_expire=5
StateSaveLocation=$state/save
SlurmdSpoolDir=$state/spool/%n
TmpFS=$state/tmp/%n
SlurmctldPidFile=$state/run/slurmctld.pid
SlurmdPidFile=$state/run/slurmd-%n.pid
SlurmctldLogFile=$state/log/slurmctld.log
SlurmdLogFile=$state/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
KillWait=10
GresTypes=gpu
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=$names CPUs=4 Boards=1 SocketsPerBoard=1 CoresPerSocket=4 ThreadsPerCore=1 RealMemory=2000 Gres=gpu:4
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=20
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=2 PreemptMode=OFF
END
  echo "NodeName=${names%% *} Name=gpu File=$state/gpu[0-3]" >"$state/gres.conf"
  # Later versions of Slurm insist on control groups, which containers may not have.
  local version
  version=$(slurmd -V | grep -oE '[0-9]+' | head -n 1)
  ((version < 23)) || echo "CgroupPlugin=disabled" >"$state/cgroup.conf"
}

start_node() { on_node "$1" slurmd -f "$SLURM_CONF" -N "$1"; }

reboot() { # NODE
  "$hosts" halt "$1"
  # Temporary files go, as at every start of a machine: PMIx's would be in the way of the job's next run.
  rm -rf "$state/tmp/$1" "$state/spool/$1"
  mkdir -p "$state/tmp/$1" "$state/spool/$1"
  "$hosts" heal "$1"
  start_node "$1"
}

up() { # NODES
  local n=${1:?how many nodes?} i nodes=() node
  require_slurm
  mkdir -p "$state"/{save,spool,log,run,tmp}
  chmod 755 "$state"
  if ((n)); then
    local code=0
    "$hosts" up "$n" || code=$?
    ((code == 0)) || exit "$code"
    for ((i = 1; i <= n; i++)); do nodes+=("node$i"); done
  else
    nodes=("$(hostname -s)")
  fi
  write_conf "$n"
  # Asked only now: srun waits a minute for a configuration that is not there.
  [[ $(srun --mpi=list 2>&1) == *pmix* ]] || skip "this Slurm has no pmix: srun could not start Open MPI"
  for i in 0 1 2 3; do mknod "$state/gpu$i" c 1 3; done
  mungekey --create --keyfile "$state/munge.key"
  chmod 600 "$state/munge.key"
  # --force: the scratch folder may lie where others write, as below /tmp.
  munged --force --key-file="$state/munge.key" --socket="$state/run/munge.socket" \
    --pid-file="$state/run/munged.pid" --log-file="$state/log/munged.log" \
    --seed-file="$state/run/munge.seed" 2>>"$state/log/munged.log"
  on_controller slurmctld -f "$SLURM_CONF" -c
  for node in "${nodes[@]}"; do
    mkdir -p "$state/spool/$node" "$state/tmp/$node"
    start_node "$node"
  done
  for ((i = 0; i < 600; i++)); do
    [[ $(on_controller sinfo -h -N -p debug -t idle -o %N 2>/dev/null | wc -l) != "${#nodes[@]}" ]] || return 0
    sleep 0.1
  done
  tail -n 20 "$state"/log/*.log >&2
  die "the nodes did not become idle"
}

# The process of a pid file, if it still is that program (Debian's is called slurmd-wlm); a dead one that
# nobody has waited for has none.
daemon() { # FILE
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 0
  [[ $(readlink "/proc/$pid/exe" 2>/dev/null) == */"$(basename "$1" | sed 's/[-.].*//')"* ]] && echo "$pid"
  return 0
}
# Whatever else runs in this cluster: keepers of steps, which outlive slurmd, and programs of jobs.
processes() {
  local entry
  for entry in /proc/[0-9]*; do
    if grep -zqxF "SLURM_CONF=$SLURM_CONF" "$entry/environ" 2>/dev/null; then echo "${entry#/proc/}"; fi
  done
}

down() {
  local file i pids=()
  # Now: they remove their files before they have ended.
  for file in "$state"/run/slurmd-*.pid "$state/run/slurmctld.pid" "$state/run/munged.pid"; do
    mapfile -t -O "${#pids[@]}" pids < <(daemon "$file")
  done
  ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
  for ((i = 0; i < 50; i++)); do
    [[ -n $(for pid in "${pids[@]}"; do readlink "/proc/$pid/exe" 2>/dev/null; done) ]] || break
    sleep 0.1
  done
  mapfile -t -O "${#pids[@]}" pids < <(processes)
  ((${#pids[@]} == 0)) || kill -9 "${pids[@]}" 2>/dev/null || true
  [[ ! -e $state/hosts ]] || "$hosts" down
}

command=${1:?wanted up, run, reboot or down}
shift
case $command in
  up) up "$@" ;;
  run)
    [[ -e $SLURM_CONF ]] || die "no cluster in $state"
    # In this process's place, so that its signals and its end are the command's.
    if [[ -e $state/hosts ]]; then exec "$hosts" exec hub "$@"; else exec "$@"; fi
    ;;
  reboot) reboot "${1:?which node?}" ;;
  down) down ;;
  *) die "wanted up, run, reboot or down, found '$command'" ;;
esac
