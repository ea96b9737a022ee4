#!/usr/bin/env bash
# stale_file.sh TUTTI FOLDER: a file is what is in it, not what it is called. A byte of a tensor, of
# the tokenizer or of the configuration makes another model; a stale file under the right name is
# recognised. FOLDER: models of make_cli_models.sh.
set -euo pipefail
tutti=$1 models=$2
folder=$models/stale
fail() { echo "$*"; exit 1; }
rm -rf "$folder"
mkdir -p "$folder"

fingerprint() { "$tutti" inspect "$1" | sed -n 's/^fingerprint  *//p'; }
import() { "$tutti" import "$1" -o "$2" --name tiny --quiet >/dev/null; }
# byte_at FILE OFFSET: becomes another one.
byte_at() {
  local old
  old=$(od -An -tu1 -j "$2" -N 1 "$1")
  printf '%b' "\\0$(printf %o $((old ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

import "$models/source" "$folder/m.h5"
own=$(fingerprint "$folder/m.h5")
[[ ${#own} -eq 64 ]] || fail "no fingerprint: $own"
[[ $own == "$(fingerprint "$models/m.h5")" ]] || fail "the same source made another fingerprint"

prints=("$own")
for part in tensor tokenizer config; do
  cp -r "$models/source" "$folder/$part"
  case $part in
    tensor) byte_at "$folder/$part/model.safetensors" $(($(wc -c <"$folder/$part/model.safetensors") - 2)) ;;
    tokenizer) printf '\n' >>"$folder/$part/tokenizer.json" ;;
    config) sed -i 's/\("rms_norm_eps": *\)1e-0\([0-9]\)/\19e-0\2/' "$folder/$part/config.json" ;;
  esac
  ! diff -rq "$models/source" "$folder/$part" >/dev/null || fail "$part: nothing was changed"
  import "$folder/$part" "$folder/$part.h5"
  prints+=("$(fingerprint "$folder/$part.h5")")
done
[[ $(printf '%s\n' "${prints[@]}" | sort -u | wc -l) -eq 4 ]] ||
  fail "a change made no other fingerprint: ${prints[*]}"

# The wanted model has changed; a cache serves the old one under its name.
wanted=$(fingerprint "$folder/tensor.h5")
mkdir "$folder/cache"
cp "$folder/m.h5" "$folder/cache/tensor.h5"
stale=$folder/cache/tensor.h5
[[ $(fingerprint "$stale") == "$own" ]] || fail "a copy under a new name is another model"
code=0
"$tutti" generate "$stale" --prompt x --max-tokens 1 --expect "${wanted:0:12}" \
  >"$folder/out" 2>"$folder/err" </dev/null || code=$?
[[ $code -eq 3 && ! -s $folder/out ]] || fail "a stale file was taken: exit code $code"
grep -q "begins with ${wanted:0:12}, found $own (tiny, " "$folder/err" ||
  fail "it is not said which model it is: $(cat "$folder/err")"
"$tutti" generate "$stale" --prompt x --max-tokens 1 --json --quiet </dev/null >"$folder/out"
grep -q "\"fingerprint\":\"$own\"" "$folder/out" || fail "the answer names another model"

# An import that does not become what is expected leaves no file.
code=0
"$tutti" import "$models/source" -o "$folder/none.h5" --name tiny --quiet --expect "$wanted" \
  >/dev/null 2>&1 || code=$?
[[ $code -eq 3 && -z $(find "$folder" -name '*none.h5*') ]] || fail "import: exit code $code"
