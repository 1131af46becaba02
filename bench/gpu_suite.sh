#!/usr/bin/env bash
# Everything that can only be seen on a GPU, in one table. Runs inside a bundle (deploy/bundle.sh):
#
#   ./gpu_suite.sh [RESULTS_DIR]       default ./gpu_results
#
# 1. the op, device and session tests on CUDA, case by case;
# 2. the communicators over NCCL, 2 and 4 ranks on one card;
# 3. `trireme train` on the CPU, then with 1, 2 and 4 ranks on one card (--share-gpu), losses
#    compared with the CPU's.
#
# Writes RESULTS_DIR/gpu_results.md (name, result, seconds) and a log a line. Every command has a time
# limit, so it never hangs. A test that skips on a GPU is a failure. Status 0 if nothing failed.
set -uo pipefail
bundle=$(cd "$(dirname "$0")" && pwd)
. "$bundle/env.sh"
results=${1:-$PWD/gpu_results}
mkdir -p "$results" && results=$(cd "$results" && pwd)
table=$results/gpu_results.md
failures=0

row() { # NAME RESULT SECONDS
  printf '| %s | %s | %s |\n' "$1" "$2" "$3" | tee -a "$table"
  [ "$2" != FAILED ] && [ "${2#FAILED}" = "$2" ] || failures=$((failures + 1))
}

# timed LOG LIMIT_SECONDS COMMAND...: sets `status` and `seconds`.
timed() {
  local log=$results/$1.log limit=$2 begin
  shift 2
  begin=$(date +%s.%N)
  timeout --kill-after=15 "$limit" "$@" >"$log" 2>&1 </dev/null
  status=$?
  seconds=$(awk -v a="$begin" -v b="$(date +%s.%N)" 'BEGIN {printf "%.1f", b - a}')
}

verdict() { # the status in words
  case $status in
    0) echo ok ;;
    124 | 137) echo "FAILED (time limit)" ;;
    *) echo "FAILED (status $status)" ;;
  esac
}

facts() {
  echo "# What a GPU showed"
  echo
  echo "- date: $(date -u '+%F %H:%M UTC'); bundle: $(head -n 1 "$bundle/README.txt")"
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>&1 | sed 's/^/- card, driver, memory: /'
  echo "- kernel: $(uname -r); processors: $(nproc)"
  trireme --version 2>&1 | sed 's/^/- /'
  echo "- CUDA's libraries: ${LD_LIBRARY_PATH:-as the loader finds them}"
  echo
  echo "| name | result | seconds |"
  echo "|---|---|---|"
}

# Each case of a GoogleTest binary that names a GPU is a row.
gtest_rows() { # BINARY FILTER LIMIT
  local name
  name=$(basename "$1")
  timed "$name" "$3" "$1" --gtest_filter="$2" --gtest_color=no
  awk '/^\[       OK \]|^\[  FAILED  \] .*\(|^\[  SKIPPED \] .*\(/ {
    if (!match($0, /\([0-9]+ ms\)/)) next  # the list of failures at the end
    ms = substr($0, RSTART + 1, RLENGTH - 5)
    result = $2 == "OK" ? "ok" : $2 == "FAILED" ? "FAILED" : "FAILED (skipped)"
    printf "%s\t%s\t%.3f\n", $4, result, ms / 1000
  }' "$results/$name.log" >"$results/$name.rows"
  [ "$status" -ne 0 ] || [ -s "$results/$name.rows" ] || return 0  # it has no case for a GPU
  while IFS=$'\t' read -r case_name result took; do row "$name: $case_name" "$result" "$took"; done <"$results/$name.rows"
  # A crash or a time limit leaves cases out: the binary's own status is a row too.
  row "$name, all" "$(verdict), $(wc -l <"$results/$name.rows") cases" "$seconds"
}

ranks_row() { # NAME LIMIT RANKS COMMAND...
  local name=$1 limit=$2 ranks=$3
  shift 3
  timed "${name//[^A-Za-z0-9]/_}" "$limit" mpirun -np "$ranks" "$@"
  row "$name" "$(verdict)" "$seconds"
}

# losses RUN_DIR: "step loss" of the training lines.
losses() { sed -n 's/.*"loss": *\([-0-9.e+]*\).*/\1/p' "$1/metrics.jsonl" 2>/dev/null | head -n 20 | awk '{print NR, $1}'; }

# The largest relative difference of the first losses of two runs, or "none" if there are none.
difference() {
  join <(losses "$1") <(losses "$2") | awk '
    {d = $2 - $3; if (d < 0) d = -d; s = $2 < 0 ? -$2 : $2; if (d / s > worst) worst = d / s}
    END {if (NR == 0) print "none"; else printf "%.1e\n", worst}'
}

train_row() { # NAME RANKS OPTIONS...
  local name=$1 ranks=$2 run_dir=$results/run-${1//[^A-Za-z0-9]/_} accuracy apart result
  shift 2
  rm -rf "$run_dir"
  timed "${name//[^A-Za-z0-9]/_}" 300 mpirun -np "$ranks" trireme train "$bundle/jobs/lenet5_digits.txtpb" \
    --run-dir "$run_dir" "$@"
  result=$(verdict)
  accuracy=$(sed -n 's/.*"accuracy": *\([0-9.]*\).*/\1/p' "$run_dir/metrics.jsonl" 2>/dev/null | tail -n 1)
  [ -z "$accuracy" ] || result="$result, accuracy $accuracy"
  if [ -n "${reference:-}" ]; then
    apart=$(difference "$reference" "$run_dir")
    result="$result, first 20 losses $apart from the CPU's"
    awk -v d="$apart" 'BEGIN {exit !(d == "none" || d > 1e-4)}' && result="FAILED ($result; 1e-4 allowed)"
  fi
  row "$name" "$result" "$seconds"
}

facts | tee "$table"
if ! nvidia-smi >/dev/null 2>&1; then
  row "nvidia-smi" "FAILED (no GPU or no driver here)" 0
  exit 1
fi

for binary in core models parallel comm; do
  [ ! -x "$bundle/tests/${binary}_tests" ] || gtest_rows "$bundle/tests/${binary}_tests" '*Cuda*:*Nccl*:*Gpu*-CudaAbsence.*' 420
done
if [ -x "$bundle/tests/nccl_suite" ]; then
  # Ranks on one card take turns on it: every collective costs milliseconds.
  ranks_row "communicators over NCCL, 2 ranks on one card" 240 2 nccl_suite --share-gpu --expect 2
  ranks_row "communicators over NCCL, 4 ranks on one card" 240 4 nccl_suite --share-gpu --expect 4
else
  row "communicators over NCCL" "FAILED (no nccl_suite in the bundle)" 0
fi

reference=
train_row "train lenet5_digits, CPU, 1 rank" 1 --device cpu
reference=$results/run-train_lenet5_digits__CPU__1_rank
train_row "train lenet5_digits, 1 rank" 1 --device cuda
train_row "train lenet5_digits, 2 ranks on one card" 2 --device cuda --share-gpu
train_row "train lenet5_digits, 4 ranks on one card" 4 --device cuda --share-gpu

printf '\n%d failed; table: %s\n' "$failures" "$table"
[ "$failures" -eq 0 ]
