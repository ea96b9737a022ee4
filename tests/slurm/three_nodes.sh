#!/usr/bin/env bash
# three_nodes.sh TUTTI MODELS: 200 requests on three nodes of two ranks each, by srun, by mpirun in an
# allocation, and by mpirun with a list of hosts and something like ssh.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh" "$1" "$2" 3
start_cluster
size=(--nodes=3 --ntasks-per-node=2 --cpus-per-task=1)

make_requests 200 "$INPUT"
make_reference 6
say "the undisturbed run"

job=$(DEVICE=host CHECK=no submit "${size[@]}" "$templates/nodes.sbatch" --report "$folder/report.json")
wait_until_done "$job" 180
compare "$OUTPUT"
for host in node1 node2 node3; do
  (($(grep -c "\"host\": \"$host\"" "$folder/report.json") == 2)) || fail "the report: wanted two ranks on $host"
done
say "srun: 200 requests on 3 nodes of 2 ranks"
rm "$OUTPUT"

job=$(submit "${size[@]}" --gpus-per-node=2 "$templates/mpirun.sbatch" --device host)
wait_until_done "$job" 180
compare "$OUTPUT"
say "mpirun in the allocation"
rm "$OUTPUT"

HOSTS=node1:2,node2:2,node3:2 RSH="$here/../support/hosts.sh rsh" \
  on node1 "$templates/mpirun_hosts.sh" --device host 2>"$folder/hosts.err" || fail "mpirun with a list of hosts: code $?"
compare "$OUTPUT"
say "mpirun with a list of hosts"
