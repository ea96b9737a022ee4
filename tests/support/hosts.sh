#!/usr/bin/env bash
# Several "hosts" on one machine, for tests of jobs on several nodes. Each has a network, a host name,
# a /dev/shm and a folder for temporary files of its own; a host can be cut off and healed.
#
#   export TUTTI_HOSTS=FOLDER        a scratch folder that holds the state of one set of hosts
#   hosts.sh up N                    makes node1 … nodeN, and hub, which the bridge between them is on
#   hosts.sh exec HOST COMMAND…      runs the command there, in the current folder
#   hosts.sh rsh HOST TEXT…          the same as ssh would: joined, by a shell, with a bare environment
#   hosts.sh cut HOST                its link goes down: packets are lost, nobody is told
#   hosts.sh heal HOST               its link comes up again
#   hosts.sh down                    ends every process on the hosts and takes them away
#
# mpirun reaches them by   mpirun --mca plm_rsh_agent "hosts.sh rsh" --host node1:2,node2:2 …
#
# Exit code 77 of `up`: no hosts can be made here (no root, no namespaces), with the reason. The
# namespaces have no names and the bridge lies inside hub's, so sets of hosts do not meet: any number
# may be up at the same time, one for each scratch folder.
set -euo pipefail

state=$(realpath -m "${TUTTI_HOSTS:?wanted a scratch folder in TUTTI_HOSTS}")
network=10.77.0
hub_address=$network.254

die() { echo "hosts.sh: $*" >&2; exit 1; }
skip() { echo "hosts.sh: skipped: $*"; exit 77; }

# The process that keeps a host's namespaces alive.
holder() { cat "$state/$1.pid" 2>/dev/null || die "no host $1 in $state"; }
# Whether that process still is ours: its id may have gone to somebody else.
is_held() { # HOST PID
  [[ -r /proc/$2/cmdline && $(tr '\0' ' ' <"/proc/$2/cmdline") == "host $state/$1 "* ]]
}
on_network_of() { # HOST COMMAND…
  local pid
  pid=$(holder "$1")
  shift
  nsenter -t "$pid" -n "$@"
}

# hold HOST: what a host's own process does, inside its new namespaces.
hold() {
  hostname "$1"
  mount --bind "$state/etc-hosts" /etc/hosts
  mount -t tmpfs -o mode=1777 tmpfs /dev/shm
  ip link set lo up
  : >"$state/$1.ready"
  exec -a "host $state/$1" sleep infinity
}

new_host() { # HOST
  mkdir -p "$state/tmp/$1"
  chmod 1777 "$state/tmp/$1"
  TUTTI_HOSTS=$state setsid unshare --net --uts --mount --propagation private "$BASH" "$0" hold "$1" \
    </dev/null >>"$state/log" 2>&1 &
  echo $! >"$state/$1.pid"
}

wait_for_host() { # HOST
  local tries
  for ((tries = 0; tries < 600; tries++)); do
    [[ ! -e $state/$1.ready ]] || return 0
    kill -0 "$(holder "$1")" 2>/dev/null || break
    sleep 0.05
  done
  cat "$state/log" >&2
  die "$1 did not come up"
}

plug_in() { # NUMBER: a cable from the host to the bridge
  local host=node$1
  on_network_of hub ip link add "v$1" type veth peer name eth0 netns "$(holder "$host")"
  on_network_of hub ip link set "v$1" master bridge up
  on_network_of "$host" ip address add "$network.$1/24" dev eth0
  on_network_of "$host" ip link set eth0 up
}

up() { # N
  local n=${1:?how many hosts?} i
  ((EUID == 0)) || skip "hosts as namespaces want root"
  local tool
  for tool in ip unshare nsenter setsid; do
    command -v "$tool" >/dev/null || skip "there is no $tool here (iproute2, util-linux)"
  done
  unshare --net --uts --mount --propagation private sh -c \
    'hostname probe && mount -t tmpfs tmpfs /dev/shm && ip link add v0 type veth peer name v1 &&
     ip link add b0 type bridge' >/dev/null 2>&1 || skip "namespaces are not permitted here"
  mkdir -p "$state"
  [[ ! -e $state/hub.pid ]] || die "$state holds hosts already: wanted 'down' first"
  {
    echo "127.0.0.1 localhost"
    echo "$hub_address hub"
    for ((i = 1; i <= n; i++)); do echo "$network.$i node$i"; done
  } >"$state/etc-hosts"
  new_host hub
  for ((i = 1; i <= n; i++)); do new_host "node$i"; done
  wait_for_host hub
  on_network_of hub ip link add bridge type bridge
  on_network_of hub ip address add "$hub_address/24" dev bridge
  on_network_of hub ip link set bridge up
  for ((i = 1; i <= n; i++)); do
    wait_for_host "node$i"
    plug_in "$i"
  done
}

# Paths, not open folders, are looked up inside: there /etc/hosts and /dev/shm are others.
enter() { # HOST COMMAND…
  local host=$1 pid
  shift
  pid=$(holder "$host")
  exec nsenter -t "$pid" -n -u -m --wdns="$PWD" -- env TMPDIR="$state/tmp/$host" "$@"
}

# As sshd would: of the caller's environment nothing but what finds programs and these hosts.
rsh() { # HOST TEXT…
  local host=$1
  shift
  enter "$host" env -i HOME="${HOME:-/}" USER="${USER:-root}" PATH="$PATH" TUTTI_HOSTS="$state" \
    TMPDIR="$state/tmp/$host" /bin/sh -c "cd; $*"
}

link() { # HOST up|down
  [[ $1 == node* ]] || die "only node1, node2, … have a link, found '$1'"
  on_network_of hub ip link set "v${1#node}" "$2"
}

# Processes in the host's network, the holder too.
processes_of() { # HOLDER'S PID
  local network_of_host
  network_of_host=$(readlink "/proc/$1/ns/net") || return 0
  [[ $network_of_host != "$(readlink /proc/self/ns/net)" ]] || return 0
  # Of "net:[4026532301]" the pattern wants the brackets escaped. Processes come and go meanwhile.
  network_of_host=${network_of_host/\[/\\[} network_of_host=${network_of_host/\]/\\]}
  find /proc/[0-9]*/ns/net -maxdepth 0 -lname "$network_of_host" 2>/dev/null | cut -d / -f 3 || true
}

down() {
  local file host pid
  for file in "$state"/*.pid; do
    [[ -e $file ]] || continue
    host=$(basename "$file" .pid) pid=$(cat "$file")
    if is_held "$host" "$pid"; then
      # Twice: what a process started while it was being ended.
      for _ in 1 2; do processes_of "$pid" | grep -vx "$pid" | xargs -r kill -9 2>/dev/null || true; done
      kill -9 "$pid" 2>/dev/null || true
    fi
    rm -f "$file" "$state/$host.ready"
  done
}

command=${1:?wanted up, exec, rsh, cut, heal or down}
shift
case $command in
  up) up "$@" ;;
  hold) hold "$@" ;;
  exec) enter "$@" ;;
  rsh) rsh "$@" ;;
  cut) link "${1:?which host?}" down ;;
  heal) link "${1:?which host?}" up ;;
  down) down ;;
  *) die "wanted up, exec, rsh, cut, heal or down, found '$command'" ;;
esac
