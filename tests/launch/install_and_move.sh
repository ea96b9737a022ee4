#!/bin/sh
# install_and_move.sh CMAKE BUILD FOLDER: the installed tree works from another place.
set -e
rm -rf "$3"
"$1" --install "$2" --prefix "$3/first" >/dev/null
mv "$3/first" "$3/second"
"$3/second/bin/tutti" --version
test -s "$3/second/share/man/man1/tutti.1"
test -s "$3/second/share/tutti/shapes/llama-2-7b.json"
test -s "$3/second/share/tutti/gpus.json"
"$3/second/bin/tutti" plan llama-2-7b --gpu a10 --ranks 1 >/dev/null
bash -n "$3/second/share/bash-completion/completions/tutti"
