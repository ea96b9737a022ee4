#!/usr/bin/env bash
# What is looked at on GPUs before a release, beyond the tests of the label gpu that CI can only skip.
#
#   tests/gpu/check.sh [options] [STAGE…]      all stages that the GPUs here allow, or those given
#
#   build      build/gpu: the program, the tests of the label gpu and what the stages below want
#   tests      ctest -L gpu
#   latency    bench latency: 7B, a mixture of experts (30B-A3B); one rank and all
#   memory     what `tutti plan` says of each rank beside what a run allocates
#   doctor     tutti doctor, on all ranks
#   bounds     compute-sanitizer, memcheck over all tests of kernels
#   races      the same by racecheck
#   crashes    a batch that is killed at random, and goes on, at one rank and at all
#   tokens     answers of 7B at every number of ranks: those of one rank, in f32 and in bf16
#   sockets    NCCL without peer access and shared memory: the same tokens
#   ends       kill -9 and SIGSTOP of the last rank in the middle of decoding with graphs
#   sums       all-reduces and gathers by size, on each path, at every number of ranks
#   scaling    bench scaling of 7B over all ranks, and the founding note's 59 prompts
#   large      bench scaling of 70B from two ranks on
#
#   --out FOLDER     logs and results (default: build/gpu-check)
#   --limit SECONDS  of one stage (default: 300)
#   --host           a rehearsal: two ranks on CPUs and tiny shapes, in the build of the preset ci
#
# Every stage runs, whatever became of those before it; the exit code is 0 where all passed. Figures of a run belong
# into docs/benchmarks.md with commit, GPU and command.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root" || exit 1
# shellcheck source=launch/packages.sh
source launch/packages.sh
export_mpi_settings

out=$root/build/gpu-check limit=300 device=cuda build=$root/build/gpu
dense=llama-2-7b mixture=qwen3-30b-a3b large=llama-2-70b sanitizer=(compute-sanitizer --error-exitcode 9)
stages=() host=() here=0 one=()
while (($#)); do
  case $1 in
    --out) out=$2; shift ;;
    --limit) limit=$2; shift ;;
    --here) here=1 ;;  # one stage, without a limit: how this script calls itself
    --sanitized) one=("${@:2}"); break ;;  # one program under a sanitizer, likewise
    --host) host=(--host) device=host build=$root/build/ci dense=tests/launch/tiny_shape.json \
      mixture=tests/launch/tiny_mixture.json large=$dense sanitizer=(rehearsed) ;;
    -h | --help) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    -*) die "unknown option $1 (see tests/gpu/check.sh --help)" ;;
    *) stages+=("$1") ;;
  esac
  shift
done
ranks=2
[[ $device == host ]] || ranks=$(nvidia-smi -L | wc -l)
((ranks > 0)) || die "no GPU here (nvidia-smi -L lists none); --host rehearses without"
if ((${#stages[@]} == 0)); then
  stages=(build tests latency memory doctor bounds races crashes)
  ((ranks == 1)) || stages+=(tokens sockets ends sums scaling large)
fi
mkdir -p "$out"
tutti=$build/bin/tutti
jobs=$(nproc)
of_all=(mpirun -n "$ranks")
counts=$( ((ranks == 1)) && echo 1 || echo "1 $ranks")
made_up=(--random-weights 7 --device "$device")

stage_build() {
  [[ $device == cuda ]] || return 0
  cmake --preset release -B "$build" -Wno-dev -DCMAKE_CUDA_ARCHITECTURES=90 >"$out/configure.log" || return 1
  cmake --build "$build" -j "$jobs" --target tutti tests_gpu collectives_cuda_bench
}

stage_tests() { ctest --test-dir "$build" -L '^gpu$' --output-on-failure -j 8; }

latency() { # NAME LAUNCHER… -- SHAPE OPTION…: the object goes to NAME.json, its main figures into the log
  local name=$1 launcher=()
  shift
  while [[ $1 != -- ]]; do launcher+=("$1"); shift; done
  shift
  "${launcher[@]}" "$tutti" bench latency "$@" "${made_up[@]}" --json >"$out/$name.json" </dev/null || return 1
  python3 - "$name" "$out/$name.json" <<'PY'
import json, sys
r = json.load(open(sys.argv[2]))
print(f"{sys.argv[1]}: decode {r['decode_tokens_per_second']['mean']:.1f} tok/s, "
      f"{1e3 * r['seconds_per_token']['p50']:.3f} ms p50, {1e2 * r['bandwidth_share']:.1f} % of "
      f"{r['read_bytes_per_second'] / 1e9:.0f} GB/s, {r['weight_bytes_per_token'] / 1e6:.0f} MB of weights a token; "
      f"first token {1e3 * r['first_token_seconds']['mean']:.1f} ms")
PY
}

stage_latency() {
  local bad=0
  latency dense -- "$dense" || bad=1
  latency dense-batch -- "$dense" --batch 16 || bad=1
  latency mixture -- "$mixture" || bad=1
  latency mixture-batch -- "$mixture" --batch 16 || bad=1
  if ((ranks > 1)); then
    latency "dense-n$ranks" "${of_all[@]}" -- "$dense" || bad=1
    latency "mixture-n$ranks" "${of_all[@]}" -- "$mixture" || bad=1
  fi
  return $bad
}

# Weights, cache and workspace of a run as planned, and as many tokens of KV cache in what is left.
stage_memory() {
  local n bad=0 total planned found
  for n in $counts; do
    TUTTI_PLAN_DEVICE=$device tests/launch/plan_agrees.sh "$tutti" "$dense" "$n" mpirun -n "$n" || bad=1
  done
  [[ $device == cuda ]] || return $bad
  total=$(nvidia-smi --query-gpu=memory.total,memory.reserved --format=csv,noheader,nounits |
    awk -F, 'NR == 1 { print $1 - $2 }')
  for n in $counts; do
    planned=$("$tutti" plan "$dense" --device-memory "${total}MiB" --ranks "$n" --batch 256 --json |
      sed -n 's/.*"kv_tokens_that_fit": \([0-9]*\).*/\1/p')
    found=$(mpirun -n "$n" "$tutti" bench throughput "$dense" "${made_up[@]}" --requests 4 --input-tokens 16 \
      --output-tokens 4 --repeats 1 </dev/null | sed -n 's/^KV cache \([0-9]*\) tokens.*/\1/p')
    echo "$n ranks of $total MiB: planned $planned tokens of KV cache, a run has $found"
    ((found > 0 && (planned - found) * 50 < found && (found - planned) * 50 < found)) || bad=1
  done
  return $bad
}

stage_doctor() {
  local code=0
  "${of_all[@]}" "$tutti" doctor --device "$device" </dev/null || code=$?
  ((code == 0 || code == 5)) # 5: healthy it is not, and says why
}

# sanitized TOOL: all tests of kernels under it, eight at a time, the long ones in shards. Without the library's products:
# racecheck cannot follow them.
sanitized() {
  local program shards shard
  for program in "$build"/tests/kernels/*_cuda_test; do
    shards=1  # each has a test: the sanitizers hold a program that ran nothing for a failure
    [[ $program != */@(gemm|gated_gemm|attention)_cuda_test ]] || shards=8
    [[ $program != */expert_gemm_cuda_test ]] || shards=3
    for ((shard = 0; shard < shards; shard++)); do echo "$program $shards $shard"; done
  done | TUTTI_OWN_KERNELS_ONLY=1 xargs -P 8 -L 1 "$0" --out "$out" "${host[@]}" --sanitized "$1"
}

# one_sanitized TOOL PROGRAM SHARDS SHARD: a line of how it went.
one_sanitized() {
  local log began=$SECONDS result=ok
  log=$out/$1-$(basename "$2")-$4.log
  GTEST_TOTAL_SHARDS=$3 GTEST_SHARD_INDEX=$4 "${sanitizer[@]}" "--tool=$1" "$2" >"$log" 2>&1 || result="FAILED ($?)"
  printf '%-26s %d/%d  %-10s %4d s  %s\n' "$(basename "$2")" "$4" "$3" "$result" $((SECONDS - began)) \
    "$(grep -E 'SUMMARY|  PASSED  ' "$log" | tr -s '= \n' ' ')"
  [[ $result == ok ]]
}

stage_bounds() { sanitized memcheck; }
stage_races() { sanitized racecheck; }

stage_crashes() {
  local n bad=0
  tests/launch/make_cli_models.sh "$tutti" "$out/models" || return 1
  for n in $counts; do
    TUTTI_CRASH_DEVICE=$device tests/launch/batch_crash.sh random 8 "$n" "$tutti" "$out/models/m.h5" mpirun -n "$n" || bad=1
  done
  return $bad
}

answers() { # OUTPUT DTYPE LAUNCHER…: of 16 prompts, 32 greedy tokens each of the dense shape
  local output=$1 dtype=$2 i
  shift 2
  for ((i = 1; i <= 16; i++)); do
    echo "{\"prompt\": \"$i $((i + 1)) $((37 * i % 100)) $((11 * i))\", \"logprobs\": 2}"
  done >"$out/prompts.jsonl"
  "$@" "$tutti" batch "$dense" "${made_up[@]}" --dtype "$dtype" -i "$out/prompts.jsonl" -o "$output" --overwrite -n 32 \
    --ignore-eos --temperature 0 --context 128 --quiet </dev/null
}

want_several() { ((ranks > 1)) || { echo "wants two GPUs or more"; return 1; }; }

stage_tokens() {
  want_several || return 1
  local n dtype bad=0 found
  for dtype in f32 bf16; do
    found=()
    for ((n = 1; n <= ranks; n++)); do
      found+=("$out/$dtype-n$n.jsonl")
      answers "${found[-1]}" "$dtype" mpirun -n "$n" || bad=1
    done
    tests/gpu/tokens_agree.py "${found[@]}" || bad=1
  done
  return $bad
}

stage_sockets() {
  want_several || return 1
  answers "$out/nvlink.jsonl" f32 "${of_all[@]}" || return 1
  answers "$out/sockets.jsonl" f32 "${of_all[@]}" -x NCCL_P2P_DISABLE=1 -x NCCL_SHM_DISABLE=1 || return 1
  tests/gpu/tokens_agree.py "$out/nvlink.jsonl" "$out/sockets.jsonl"
}

# end_of SIGNAL CODES SECONDS: of the last rank, once answers flow.
end_of() {
  local signal=$1 codes=$2 seconds=$3 began took code=0 victim
  "${of_all[@]}" "$tutti" generate "$dense" "${made_up[@]}" --prompt "1 2 3" --max-tokens 100000 --ignore-eos \
    --context 100100 --peer-timeout 6 </dev/null >"$out/ends.out" 2>"$out/ends.err" &
  local mpirun_pid=$!
  for ((i = 0; i < 600; i++)); do
    [[ $(wc -c <"$out/ends.out") -lt 200 ]] || break
    sleep 0.1
  done
  victim=$(pgrep -f "^$tutti generate .*--peer-timeout 6" | sort -n | tail -n 1)
  [[ -n $victim ]] || { echo "no rank to be found"; tail "$out/ends.err"; kill "$mpirun_pid"; return 1; }
  began=$(date +%s%N)
  kill "-$signal" "$victim"
  wait "$mpirun_pid" || code=$?
  took=$((($(date +%s%N) - began) / 1000000))
  echo "$signal: $took ms, exit code $code; $(grep '^tutti: rank' "$out/ends.err" | tail -n 1)"
  [[ ,$codes, == *,$code,* ]] && ((took < seconds * 1000))
}
stage_ends() {
  local bad=0
  end_of KILL 137 10 || bad=1
  end_of STOP 5 30 || bad=1
  return $bad
}

stage_sums() {
  want_several || return 1
  local n
  if [[ $device == host ]]; then
    "${of_all[@]}" "$tutti" bench collectives --device host </dev/null
    return
  fi
  for ((n = 2; n <= ranks; n++)); do
    echo "$n ranks"
    mpirun -n "$n" "$build/tests/dist/collectives_cuda_bench" </dev/null || return 1
  done
}

stage_scaling() {
  local n
  "${of_all[@]}" "$tutti" bench scaling "$dense" "${made_up[@]}" --requests 256 --out "$out/scaling" </dev/null || return 1
  [[ $device == cuda ]] || return 0
  for ((n = 1; n <= ranks; n++)); do
    mpirun -n "$n" "$tutti" bench throughput "$dense" "${made_up[@]}" --origin --repeats 1 </dev/null || return 1
  done
}

stage_large() {
  want_several || return 1
  local counts
  counts=$(seq -s, 2 "$ranks")
  "${of_all[@]}" "$tutti" bench scaling "$large" "${made_up[@]}" --requests 128 --counts "$counts" --out "$out/large" </dev/null
}

rehearsed() { "${@:2}"; }  # without the tool

if ((${#one[@]})); then
  one_sanitized "${one[@]}"
  exit
fi
if ((here)); then
  "stage_${stages[0]}"
  exit
fi
summary=() bad=0
for stage in "${stages[@]}"; do
  declare -F "stage_$stage" >/dev/null || die "unknown stage $stage (see tests/gpu/check.sh --help)"
done
for stage in "${stages[@]}"; do
  say "$stage"
  began=$SECONDS result=ok
  timeout -k 15 "$limit" "$0" --out "$out" "${host[@]}" --here "$stage" >"$out/$stage.log" 2>&1 || result="FAILED ($?)"
  tail -n 25 "$out/$stage.log"
  [[ $result == ok ]] || bad=1
  summary+=("$(printf '%-9s %-12s %4d s' "$stage" "$result" $((SECONDS - began)))")
done
say "Summary: $ranks x $([[ $device == host ]] && echo host ||
  nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1)"
printf '%s\n' "${summary[@]}"
exit $bad
