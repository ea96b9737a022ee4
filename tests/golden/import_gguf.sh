#!/usr/bin/env bash
# import_gguf.sh TUTTI NAME OUT.h5: the model file that goldens of a real model ask, in float32 as they
# are. 77 (skipped) where tests/fetch_data.sh has not fetched NAME.
set -euo pipefail

source=${TUTTI_TEST_DATA:-build/data}/$2
rm -f "$3"
if [[ ! -f $source ]]; then
  echo "skipped: there is no $source (tests/fetch_data.sh fetches it)"
  exit 77
fi
exec "$1" import "$source" -o "$3" --dtype f32 --progress none
