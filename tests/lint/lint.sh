#!/usr/bin/env bash
# The rules of the house that a compiler does not check.
#
#   tests/lint/lint.sh CHECK [ROOT]     CHECK: layering third_parties size headers words decisions families
#                                              format shell (77: no clang-format 14, no shellcheck)
# Prints every offence as file: what is wrong; exit code 1 where there is one.
set -euo pipefail
export LC_ALL=C.UTF-8

check=${1:?which check?}
cd "${2:-$(dirname "${BASH_SOURCE[0]}")/../..}"
found=0
offence() { echo "$*"; found=1; }

layers=(kernels runtime models launch)
existing() { local d; for d in "$@"; do [[ ! -e $d ]] || echo "$d"; done; }
# Sources of the given folders, C++ and CUDA.
sources() {
  local folders
  mapfile -t folders < <(existing "$@")
  ((${#folders[@]} == 0)) || find "${folders[@]}" -type f \
    \( -name '*.hpp' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' \) | sort
}

# Includes go strictly downwards: a file sees its own folder and those with a smaller number.
level_of() {
  case $1 in
    kernels/*) echo 0 ;;
    runtime/device/*) echo 1 ;;
    runtime/tensor/*) echo 2 ;;
    runtime/comm/*) echo 3 ;;
    runtime/shard/*) echo 4 ;;
    runtime/weights/*) echo 5 ;;
    runtime/cache/*) echo 6 ;;
    runtime/layers/* | runtime/text/*) echo 7 ;;
    runtime/engine/*) echo 8 ;;
    models/*) echo 9 ;;
    launch/*) echo 10 ;;
    *) echo "" ;;
  esac
}

check_layering() {
  local file line target from to
  while IFS=: read -r file line; do
    target=${line#*\"} target=${target%%\"*}
    from=$(level_of "$file") to=$(level_of "$target")
    if [[ -z $from ]]; then
      offence "$file: lies in no known layer (tests/lint/lint.sh lists them)"
    elif [[ -z $to ]]; then
      offence "$file: includes \"$target\", which is not a path from the root to a lower layer"
    elif [[ ${file%/*} != "${target%/*}" ]] && ((from <= to)); then
      offence "$file: includes \"$target\", which is not below it"
    fi
  done < <(sources "${layers[@]}" | xargs -r grep -H '^[[:space:]]*#[[:space:]]*include[[:space:]]*"')
}

# Who may include what: a pattern of headers, then a pattern of files.
third_parties=(
  'mpi\.h'               'runtime/comm/mpi_'
  'nccl(_device)?\.h'    'runtime/comm/nccl_'
  'hdf5[a-z_]*\.h'       'runtime/weights/hdf5_'
  'H5[A-Za-z]+\.h'       'runtime/weights/hdf5_'
  'xxh(ash|3)\.h'        'runtime/weights/'
  'openssl/'             'runtime/weights/'
  'cublas'               '(kernels/gemm|runtime/device/cuda_)'
  'cuda'                 '(kernels/[^/]*\.cuh?$|runtime/device/cuda_|runtime/comm/nccl_)'
  'cblas(_openblas)?\.h' 'kernels/'
  'openblas'             'kernels/'
  'pcre2\.h'             'runtime/text/'
  'utf8proc\.h'          'runtime/text/'
  'sentencepiece'        'runtime/text/'
  'boost/'               'launch/'
)

check_third_parties() {
  local i file
  for ((i = 0; i < ${#third_parties[@]}; i += 2)); do
    while read -r file; do
      offence "$file: includes <${third_parties[i]}…>, at home in ${third_parties[i + 1]} only"
    done < <(sources "${layers[@]}" |
      xargs -r grep -lE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]${third_parties[i]}" |
      grep -vE "^${third_parties[i + 1]}" || true)
  done
}

check_size() {
  local lines file sizes=()
  while read -r lines file; do
    if ((lines > 500)); then offence "$file: $lines lines, no file has over 500"; fi
  done < <(find . -path ./build -prune -o -path ./.git -prune -o -path './build*' -prune -o \
    -type f \( -name '*.[hc]pp' -o -name '*.cu' -o -name '*.cuh' -o -name '*.sh' -o -name '*.py' \
    -o -name '*.md' -o -name '*.cmake' -o -name CMakeLists.txt \) -exec wc -l {} + |
    grep -v ' total$')
  mapfile -t sizes < <(sources "${layers[@]}" | xargs -r wc -l | grep -v ' total$' |
    awk '{print $1}' | sort -n)
  local n=${#sizes[@]}
  ((n)) || return 0
  if ((sizes[n / 2] > 120)); then offence "median source has ${sizes[n / 2]} lines, wanted 120"; fi
  if ((sizes[n * 9 / 10] > 300)); then
    offence "one source in ten has ${sizes[n * 9 / 10]} lines or more, wanted 300"
  fi
}

check_headers() {
  local file
  while read -r file; do
    grep -q '^#pragma once$' "$file" || offence "$file: has no #pragma once"
  done < <(sources "${layers[@]}" tests | grep '\.\(hpp\|cuh\)$')
  while read -r file; do
    [[ $file == *.cpp && -e ${file%.cpp}.hpp || $(head -c 2 "$file") == // ]] ||
      offence "$file: does not open with what it is for"
  done < <(sources "${layers[@]}")
}

# Paths of one machine, hosts of registries. Written so that this file does not contain them.
check_words() {
  local words='[/]work/(wt|main|shared|\.lib)|[/]tmp/(py|golden)|[/]root/|[.]pyenv'
  words+='|pypi[.]org|pythonhosted[.]org|deb[.]debian[.]org|archive[.]ubuntu[.]com'
  local hits
  hits=$(grep -rInE "$words" --exclude-dir='build*' --exclude-dir=.git --exclude-dir=seeds \
    --exclude='*.txt' --exclude=.git . | cut -c 1-200 || true)
  [[ -z $hits ]] || offence "$hits"
}

# A family that is registered has a shape, a golden and a row in the README.
check_families() {
  local name architecture goldens twins
  while read -r name; do
    grep -qs "\"architecture\": \"$name\"" models/shapes/*.json ||
      offence "models: family '$name' has no shape in models/shapes"
    grep -qs "^| .*\`$name\`" README.md || offence "README.md: family '$name' has no row in the table"
    architecture=$(grep -lE "\.name = \"$name\"" models/*.cpp | xargs grep -hoE \
      '"[A-Za-z0-9]+(ForCausalLM|LMHeadModel)"' | head -n 1) || true
    goldens=$(grep -ls "${architecture:-of none}" tests/golden/models/*/config.json | cut -d / -f 4) || true
    [[ -n $goldens ]] ||
      offence "tests/golden/models: family '$name' has no golden of ${architecture:-an architecture of its own}"
    # A golden's GGUF twin, where the family has such files.
    grep -lE "\.name = \"$name\"" models/*.cpp | xargs grep -q 'gguf_architecture = "' || continue
    mapfile -t twins < <(sed 's|.*|tests/golden/gguf/&.gguf|' <<<"$goldens")
    [[ -n $(existing "${twins[@]}") ]] ||
      offence "tests/golden/gguf: family '$name' has no file (tests/golden/make_gguf.py)"
  done < <(existing models/*.cpp | xargs -r sed -n '/^const Family /s/.*\.name = "\([a-z0-9_-]*\)".*/\1/p')
}

check_decisions() {
  local lines file
  while read -r lines file; do
    if ((lines > 60)); then offence "$file: $lines lines, a decision has at most 60"; fi
  done < <(existing docs/decisions/*.md | xargs -r wc -l | grep -v ' total$')
}

# Every version of clang-format has its own opinions: only 14 is asked.
check_format() {
  local tool=clang-format-14
  command -v $tool >/dev/null || tool=clang-format
  if ! $tool --version 2>/dev/null | grep -q 'version 14\.'; then
    echo "skipped: no clang-format 14 here"
    exit 77
  fi
  local file
  while read -r file; do
    offence "$file: run clang-format (14) over it"
  done < <(sources "${layers[@]}" tests | xargs -r -P 2 -n 32 "$tool" --dry-run -Werror 2>&1 |
    sed -n 's/^\([^: ]*\):[0-9]*:[0-9]*: error: .*/\1/p' | sort -u)
}

check_shell() {
  if ! command -v shellcheck >/dev/null; then
    echo "skipped: no shellcheck here"
    exit 77
  fi
  find .ci/run launch tests \( -name '*.sh' -o -name '*.sbatch' -o -path .ci/run \) \
    -exec shellcheck -x --severity=warning {} + || found=1
}

"check_$check"
exit "$found"
