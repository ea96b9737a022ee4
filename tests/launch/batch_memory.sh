#!/bin/sh
# batch_memory.sh FEW MANY MOST_KB TUTTI MODEL: passes where a batch of MANY requests needs at most
# MOST_KB kB more memory than one of FEW.
few=$1
many=$2
most=$3
tutti=$4
model=$5
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
peak() { # REQUESTS
  seq 1 "$1" | sed 's/.*/{"custom_id": "r&", "prompt": "request number &", "max_tokens": 4}/' \
    >"$folder/in.$1"
  "$tutti" batch "$model" -i "$folder/in.$1" -o "$folder/out.$1" --device host --threads 1 \
    --quiet --report "$folder/report.$1" >/dev/null 2>"$folder/log" || {
    cat "$folder/log" >&2
    return 1
  }
  [ "$(wc -l <"$folder/out.$1")" -eq "$1" ] || return 1
  sed -n 's/.*"peak_resident_bytes": \([0-9]*\).*/\1/p' "$folder/report.$1"
}
first=$(peak "$few") || exit 1
second=$(peak "$many") || exit 1
growth=$(((second - first) / 1024))
echo "peak memory: $first bytes for $few requests, $second for $many; grown by $growth kB"
[ "$growth" -le "$most" ]
