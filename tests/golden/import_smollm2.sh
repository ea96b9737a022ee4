#!/usr/bin/env bash
# import_smollm2.sh TUTTI OUT.h5: the model file that the SmolLM2 goldens ask, in float32 as they
# are. 77 (skipped) where tests/fetch_data.sh has not been run.
set -euo pipefail

source=${TUTTI_TEST_DATA:-build/data}/SmolLM2-135M-Instruct.Q4_1.gguf
rm -f "$2"
if [[ ! -f $source ]]; then
  echo "skipped: there is no $source (tests/fetch_data.sh fetches it)"
  exit 77
fi
exec "$1" import "$source" -o "$2" --dtype f32 --progress none
