#!/usr/bin/env bash
# How fast is `tutti import` where no dtype changes, beside `cp` of the same bytes?
#
#   tests/bench/import_bench.sh TUTTI [GB] [ROUNDS] [FOLDER]     (2.2 GB, 7 rounds, a folder in TMPDIR)
#
# Makes a source of random bf16 weights in the shapes of a 1.1 B llama (2048 wide, layers as many as
# fill GB), then alternates cp + sync and import, everything in the page cache, both until the bytes
# are on the disk. Prints medians: of wall time, of processor time, and of the share of cp's speed
# within a round. FOLDER needs three times GB; what was made there is removed.
set -euo pipefail
export LC_ALL=C
tutti=$(realpath "${1:?where is the program tutti?}")
gb=${2:-2.2} rounds=${3:-7}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d "${4:-${TMPDIR:-/tmp}}/import_bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
source=$work/source

make_source() {
  mkdir "$source"
  cp "$here"/../launch/byte_tokenizer/*.json "$source"
  local layers
  layers=$(awk "BEGIN { n = int(($gb * 1e9 - 2.62e8) / 8.809e7 + 0.5); print n < 1 ? 1 : n }")
  cat >"$source/config.json" <<JSON
{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
 "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": $layers,
 "num_attention_heads": 32, "num_key_value_heads": 4, "vocab_size": 32000, "rms_norm_eps": 1e-5,
 "max_position_embeddings": 2048, "rope_theta": 10000.0, "tie_word_embeddings": false,
 "torch_dtype": "bfloat16"}
JSON
  awk -v layers="$layers" '
    function add(name, rows, columns,   bytes) {
      bytes = 2 * rows * (columns ? columns : 1)
      printf "%s\"%s\":{\"dtype\":\"BF16\",\"shape\":[%s],\"data_offsets\":[%.0f,%.0f]}",
             end ? "," : "{", name, columns ? rows "," columns : rows, end, end + bytes
      end += bytes
    }
    BEGIN {
      add("model.embed_tokens.weight", 32000, 2048)
      for (i = 0; i < layers; ++i) {
        layer = "model.layers." i "."
        add(layer "input_layernorm.weight", 2048)
        add(layer "self_attn.q_proj.weight", 2048, 2048)
        add(layer "self_attn.k_proj.weight", 256, 2048)
        add(layer "self_attn.v_proj.weight", 256, 2048)
        add(layer "self_attn.o_proj.weight", 2048, 2048)
        add(layer "post_attention_layernorm.weight", 2048)
        add(layer "mlp.gate_proj.weight", 5632, 2048)
        add(layer "mlp.up_proj.weight", 5632, 2048)
        add(layer "mlp.down_proj.weight", 2048, 5632)
      }
      add("model.norm.weight", 2048)
      add("lm_head.weight", 32000, 2048)
      printf "}\n%.0f\n", end
    }' >"$work/header"
  local json bytes
  json=$(head -n 1 "$work/header") bytes=$(tail -n 1 "$work/header")
  local i size=""
  for ((i = 0; i < 8; ++i)); do
    size+=$(printf '\\x%02x' $((${#json} >> (8 * i) & 255)))
  done
  { printf '%b' "$size" && printf '%s' "$json" && head -c "$bytes" /dev/urandom; } \
    >"$source/model.safetensors"
}

copy() {
  cp "$source/model.safetensors" "$work/copy"
  sync "$work/copy"
}
import() { "$tutti" import "$source" -o "$work/m.h5" --quiet >"$work/report"; }

# "wall processor" of a command, in seconds
timed() {
  rm -f "$work/copy" "$work/m.h5"
  sync "$work"
  local TIMEFORMAT='%R %U %S'
  { time "$@" 2>"$work/messages"; } 2>&1 | awk '{ print $1, $2 + $3 }'
  [[ ! -s $work/messages ]] || cat "$work/messages" >&2
}

median() {
  sort -n "$work/rounds" -k "$1,$1" |
    awk -v c="$1" '{ v[NR] = $c } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

make_source
bytes=$(stat -c %s "$source/model.safetensors")
sync
copy && import  # warms up
for ((i = 0; i < rounds; ++i)); do
  if ((i % 2)); then  # taking turns at being first
    imported=$(timed import) copied=$(timed copy)
  else
    copied=$(timed copy) imported=$(timed import)
  fi
  own=$(awk '/ of weights in / { for (i = 1; i < NF; ++i) if ($i == "in") print $(i + 1), $(i + 2) }' \
    "$work/report" | tr -d ',')
  echo "$copied $imported ${own% *} ${own#* }" |
    awk '{ own = $5 * ($6 == "ms" ? 1e-3 : 1); print $1, $2, $3, $4, own, $1 / $3, $1 / own }' |
    tee -a "$work/rounds" |
    awk '{ printf "cp %.2f s (cpu %.2f), import %.2f s (cpu %.2f, own figure %.2f)\n", $1, $2, $3, $4, $5 }'
done
awk -v cores="$(nproc)" -v gb="$bytes" -v cp="$(median 1)" -v cpu="$(median 2)" -v im="$(median 3)" \
  -v icpu="$(median 4)" -v own="$(median 5)" -v share="$(median 6)" -v oshare="$(median 7)" 'BEGIN {
  gb /= 1e9
  printf "cores %d, bytes %.2f GB; medians:\n", cores, gb
  printf "  cp + sync       %.2f s, %.2f GB/s, processor %.2f s\n", cp, gb / cp, cpu
  printf "  import          %.2f s, %.2f GB/s, processor %.2f s: %.0f %% of cp\n", im, gb / im, icpu, 100 * share
  printf "  its own figure  %.2f s, %.2f GB/s: %.0f %% of cp\n", own, gb / own, 100 * oshare
}'
