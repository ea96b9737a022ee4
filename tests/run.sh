#!/usr/bin/env bash
# Sets up what it needs, builds and runs all tests; says at the end what ran and what was skipped.
#
#   tests/run.sh                  everything: unit, dist, golden, slurm, fuzz replay, gpu (skipped by
#                                 name where there is none); sanitizers; fuzzing
#   tests/run.sh --quick          the ci build and its unit tests
#   tests/run.sh --label golden   the ci build and one label
#   tests/run.sh --no-sanitizers  neither ASan+UBSan, TSan nor fuzzing
#   tests/run.sh --tidy           clang-tidy too (long)
#   tests/run.sh --no-packages    installs nothing
#   tests/run.sh --no-data        fetches nothing; tests that want the real model skip by name
#
# Exit code: 0 where every stage passed, 1 otherwise.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
exec 2>&1
# shellcheck source=launch/packages.sh
source launch/packages.sh

labels=(unit dist golden slurm fuzz gpu)
sanitizers=1 tidy=0 packages=1 data=1
while (($#)); do
  case $1 in
    --quick) labels=(unit) sanitizers=0 data=0 ;;
    --label) labels=("${2:?--label wants unit, dist, golden, slurm, fuzz or gpu}") sanitizers=0; shift ;;
    --no-sanitizers) sanitizers=0 ;;
    --tidy) tidy=1 ;;
    --no-packages) packages=0 ;;
    --no-data) data=0 ;;
    -h | --help) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) die "unknown option $1 (see tests/run.sh --help)" ;;
  esac
  shift
done

jobs=$(nproc)
passed=0 failed=0 skipped=0
summary=() skipped_names=() failures=()
logs=$root/build/test-logs
export TUTTI_TEST_DATA=${TUTTI_TEST_DATA:-$root/build/data}
mkdir -p "$logs"

# stage NAME COMMAND…: runs it, notes how it went and how long it took, goes on after a failure.
stage() {
  local name=$1 start=$SECONDS result=ok
  shift
  say "$name"
  "$@" || result=FAILED
  summary+=("$(printf '%-34s %-7s %4d s' "$name" "$result" $((SECONDS - start)))")
  [[ $result == ok ]]
}

not_run() { summary+=("$(printf '%-34s %s' "$1" "not run: $2")"); }

# The number that a JUnit report gives for an attribute of its test suite.
count() { sed -n "s/^[[:space:]]*$2=\"\([0-9]*\)\".*/\1/p" "$1" | head -n 1; }

# failed_tests REPORT PRESET: each failed test of a JUnit report with the end of what it printed.
failed_tests() {
  awk -v preset="$2" '
    /<testcase .*status="fail"/ { name = $0; sub(/.*<testcase name="/, "", name); sub(/".*/, "", name)
                                  lines = 0; inside = 1; next }
    inside && /<\/testcase>/ { printf "\n%s (%s) failed; the end of its output:\n", name, preset
                               for (i = lines > 40 ? lines - 40 : 0; i < lines; i++) print "  " line[i]
                               inside = 0 }
    inside { line[lines++] = $0 }' "$1" |
    sed 's/&lt;/</g; s/&gt;/>/g; s/&quot;/"/g; s/&apos;/'"'"'/g; s/&amp;/\&/g'
}

# skipped_tests: the names of those that were skipped, cases of one test in one line.
skipped_tests() {
  printf '%s\n' "${skipped_names[@]}" |
    sed 's/  # GetParam() = .* (\([a-z-]*\))$/ (\1)/; s|^\([^ /]*/\)\{0,1\}\([^ /]*\)/.* (\([a-z-]*\))$|\2, cases of (\3)|' |
    uniq -c | sed 's/^ *1 /  /; s/^ *\([0-9]\{1,\}\) \(.*\), cases of/  \2, \1 cases/'
}

# run_ctest PRESET LABEL [ARGUMENT…]: tests of one label, counted into the summary.
run_ctest() {
  local preset=$1 label=$2 report=$logs/$1-$2.xml status=0 tests bad off
  shift 2
  rm -f "$report"
  "${without_aslr[@]}" ctest --test-dir "build/$preset" -L "^$label\$" --output-on-failure \
    --no-tests=error --output-junit "$report" "$@" || status=1
  [[ -f $report ]] || return 1
  tests=$(count "$report" tests) bad=$(count "$report" failures)
  off=$(($(count "$report" disabled) + $(count "$report" skipped)))
  passed=$((passed + tests - bad - off)) failed=$((failed + bad)) skipped=$((skipped + off))
  mapfile -t -O "${#skipped_names[@]}" skipped_names < <(
    sed -n 's/.*<testcase name="\([^"]*\)".*status="\(notrun\|disabled\)".*/\1/p' "$report" |
      sed "s/\$/ ($preset)/")
  ((bad == 0)) || failures+=("$(failed_tests "$report" "$preset")")
  return $status
}

configure() { cmake --preset "$1" -Wno-dev >"$logs/$1-configure.log" ||
  { cat "$logs/$1-configure.log"; return 1; }; }

build() {
  local preset=$1
  shift
  "${without_aslr[@]}" cmake --build "build/$preset" -j "$jobs" "$@"
}

test_ci() {
  local label
  if ! stage "ci: configure" configure ci || ! stage "ci: build" build ci; then
    failed=$((failed + 1))
    for label in "${labels[@]}"; do not_run "ci: $label" "no build"; done
    return
  fi
  for label in "${labels[@]}"; do
    # Programs of several ranks fill the machine by themselves; of those of dist ctest knows which do.
    local parallel=1
    [[ $label != unit && $label != fuzz && $label != dist ]] || parallel=$jobs
    stage "ci: $label" run_ctest ci "$label" -j "$parallel" || true
  done
}

# test_preset PRESET LABEL…: builds only the programs of those labels. Lints look at the sources
# alone: the ci build has run them.
test_preset() {
  local preset=$1 label
  shift
  if ! stage "$preset: configure" configure "$preset" ||
    ! stage "$preset: build" build "$preset" --target "${@/#/tests_}"; then
    failed=$((failed + 1))
    for label in "$@"; do not_run "$preset: $label" "no build"; done
    return
  fi
  for label in "$@"; do
    stage "$preset: $label" run_ctest "$preset" "$label" -LE lint -j "$jobs" || true
  done
}

tidy_sources() {
  git ls-files 'kernels/*.cpp' 'runtime/*.cpp' 'models/*.cpp' 'launch/*.cpp' |
    xargs -P "$jobs" -n 4 clang-tidy --quiet -p build/ci --warnings-as-errors='*' \
      --extra-arg=-Wno-unknown-warning-option
}

if ((packages)); then
  install_packages "${packages_build[@]}" "${packages_fetch[@]}" "${packages_test[@]}"
  install_packages "$(clang_runtime_package)"
  install_optional_packages "${packages_test_optional[@]}" "${packages_slurm[@]}"
fi
# ThreadSanitizer of older compilers does not start where addresses are randomised over 32 bits.
without_aslr=()
if setarch "$(uname -m)" -R true 2>/dev/null; then without_aslr=(setarch "$(uname -m)" -R); fi
export_mpi_settings

if ((data)); then
  stage "test data" tests/fetch_data.sh || failed=$((failed + 1))
else
  not_run "test data" "not wanted"
fi
test_ci
if ((sanitizers)); then
  export UBSAN_OPTIONS=print_stacktrace=1
  test_preset asan-ubsan unit fuzz  # one build of clang's: fuzzers need its libFuzzer
  OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 test_preset tsan unit
else
  not_run "asan-ubsan, tsan" "not wanted"
fi
if ((tidy)); then stage "clang-tidy" tidy_sources || failed=$((failed + 1)); fi

# What went wrong stands last, where a log that was cut still has it.
if ((${#skipped_names[@]})); then
  say "Skipped"
  skipped_tests
fi
say "Summary"
printf '%s\n' "${summary[@]}"
((${#failures[@]} == 0)) || printf '%s\n' "${failures[@]}"
printf '\n%d s in all\n' "$SECONDS"
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
ran_badly=$(printf '%s\n' "${summary[@]}" | grep -c 'FAILED\|no build' || true)
((failed == 0 && ran_badly == 0 && passed > 0))
