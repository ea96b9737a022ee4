#!/bin/bash
# Submits an import and a batch that starts when the import has succeeded, and not at all where it has not.
#
#   SOURCE=folder MODEL=m.h5 INPUT=in.jsonl OUTPUT=out.jsonl import_then_batch.sh [options of sbatch for the batch]
set -eu
here=$(dirname "$(realpath "$0")")
import=$(sbatch --parsable "$here/import.sbatch")
sbatch --dependency="afterok:$import" --kill-on-invalid-dep=yes "$@" "$here/requeue.sbatch"
