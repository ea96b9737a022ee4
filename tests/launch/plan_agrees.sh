#!/bin/sh
# plan_agrees.sh TUTTI SHAPE RANKS LAUNCHER…: passes where `tutti plan` says of each rank what a run
# by LAUNCHER on so many ranks then allocates: weights and KV cache to the byte, the workspace within
# 2 %. TUTTI_PLAN_DEVICE is where: host (the default) or cuda, where the KV cache takes what is left and
# must only have room for what was planned.
tutti=$1 shape=$2 ranks=$3
shift 3
device=${TUTTI_PLAN_DEVICE:-host}
kind="--gpu host --device-memory 8GiB --threads 1"
[ "$device" = host ] || kind="--device-memory 80GiB"
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
# shellcheck disable=SC2086  # several words
"$tutti" plan "$shape" $kind --ranks "$ranks" --context 48 --batch 3 --prompt-tokens 32 \
  --new-tokens 16 --json >"$folder/plan" || exit 1
"$@" "$tutti" bench latency "$shape" --random-weights 1 --device "$device" --threads 1 --context 48 \
  --batch 3 --prompt-tokens 32 --new-tokens 16 --repeats 1 --json --quiet >"$folder/run" \
  </dev/null || exit 1
# FIELD FILE: its values of all ranks, one a line.
values() {
  sed -n '/"per_rank"/,$p' "$2" | sed -n "s/^ *\"$1\": \([0-9]*\),*$/\1/p" | head -n "$ranks"
}
for field in weight_bytes kv_bytes workspace_bytes; do
  values $field "$folder/plan" >"$folder/planned"
  values $field "$folder/run" >"$folder/allocated"
  paste "$folder/planned" "$folder/allocated" | awk -v field=$field -v ranks="$ranks" -v device="$device" '
    { print field, "planned", $1, "allocated", $2
      off = $1 > $2 ? $1 - $2 : $2 - $1
      if (field == "kv_bytes" && device == "cuda" && $1 <= $2) off = 0
      if (NF != 2 || $2 == 0 || off > (field == "workspace_bytes" ? 0.02 * $2 : 0)) bad = 1 }
    END { exit bad || NR != ranks }' || exit 1
done
