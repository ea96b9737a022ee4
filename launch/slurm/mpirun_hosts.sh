#!/bin/bash
# Without Slurm: a batch on hosts that ssh reaches without a password, by their names.
#
#   HOSTS=node1:4,node2:4 MODEL=m.h5 INPUT=in.jsonl OUTPUT=out.jsonl mpirun_hosts.sh [options of tutti batch]
#
# node1:4 is four ranks on node1. TUTTI and all files have the same path on all hosts. RSH is another ssh.
set -eu
: "${HOSTS:?node1:4,node2:4}" "${TUTTI:=tutti}" "${RSH:=ssh}"
: "${MODEL:=model.h5}" "${INPUT:=prompts.jsonl}" "${OUTPUT:=answers.jsonl}"

# What the settings are for is said in mpirun.sbatch.
exec mpirun --host "$HOSTS" --mca plm_rsh_agent "$RSH" --bind-to none --mca odls_base_sigkill_timeout 60 \
  --mca oob_tcp_keepalive_time 10 --mca oob_tcp_keepalive_intvl 5 --mca oob_tcp_keepalive_probes 3 \
  "$TUTTI" batch "$MODEL" -i "$INPUT" -o "$OUTPUT" "$@" </dev/null
