#!/bin/sh
# make_cli_models.sh TUTTI FOLDER: model files for the tests of the command line, from a tiny golden
# model and a tokenizer of single bytes: sound, another, cut short, damaged, foreign.
set -e
tutti=$1
folder=$2
rm -rf "$folder"
mkdir -p "$folder/source"
cp tests/golden/models/llama-rope3/config.json tests/golden/models/llama-rope3/model.safetensors \
  tests/launch/byte_tokenizer/*.json "$folder/source"
"$tutti" import "$folder/source" -o "$folder/m.h5" --name tiny --quiet
"$tutti" import "$folder/source" -o "$folder/other.h5" --name tiny --dtype f16 --quiet
size=$(wc -c <"$folder/m.h5")
head -c $((size / 2)) "$folder/m.h5" >"$folder/short.h5"
cp "$folder/m.h5" "$folder/damaged.h5"
# In the middle of a file lie weights.
printf 'damage' | dd of="$folder/damaged.h5" bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
echo 'not a model' >"$folder/foreign.h5"
mkdir "$folder/batch"
echo '{"prompt": "x"}' >"$folder/batch/own.jsonl"
echo 'my notes' >"$folder/batch/foreign.jsonl"
