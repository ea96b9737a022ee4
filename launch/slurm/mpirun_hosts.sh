#!/bin/bash
# Without Slurm: a batch on hosts that ssh reaches without a password, by their names.
#
#   HOSTS=node1:4,node2:4 MODEL=m.h5 INPUT=in.jsonl OUTPUT=out.jsonl mpirun_hosts.sh [options of tutti batch]
#
# node1:4 is four ranks on node1. TUTTI and all files have the same path on all hosts. RSH is another ssh.
set -eu
: "${HOSTS:?node1:4,node2:4}" "${TUTTI:=tutti}" "${RSH:=ssh}"
: "${MODEL:=model.h5}" "${INPUT:=prompts.jsonl}" "${OUTPUT:=answers.jsonl}"

exec mpirun --host "$HOSTS" --mca plm_rsh_agent "$RSH" --bind-to none --mca odls_base_sigkill_timeout 60 \
  "$TUTTI" batch "$MODEL" -i "$INPUT" -o "$OUTPUT" "$@" </dev/null
