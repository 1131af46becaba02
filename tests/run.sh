#!/usr/bin/env bash
# Installs what is missing, builds every configuration and runs every test:
#
#   tests/run.sh              all parts: setup cuda cpu asan mpich test fuzz install
#   tests/run.sh cpu test     these parts alone
#
# Ends with the time of each part beside its budget (on 2 cores), and a line "N passed, M failed".
# Status 0 only if nothing failed. Logs lie in build/logs.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
root=$PWD
logs=$root/build/logs
results=$root/build/results
mkdir -p "$logs"
rm -rf "$results" && mkdir -p "$results"
jobs=$(nproc)
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
. deploy/mpi_env.sh

passed=0
failed=0
table=()

# part NAME BUDGET_MINUTES COMMAND...: one timed part, whose failure counts as one failed test.
part() {
  local name=$1 budget=$2 start=$SECONDS took verdict
  shift 2
  printf '\n== %s\n' "$name"
  if "$@"; then verdict=ok; passed=$((passed + 1)); else verdict=FAILED; failed=$((failed + 1)); fi
  took=$((SECONDS - start))
  [ "$took" -le $((budget * 60)) ] || verdict="$verdict, over its budget"
  table+=("$(printf '%-28s %5d s  of %4d s  %s' "$name" "$took" $((budget * 60)) "$verdict")")
}

# quietly LOG COMMAND...: shows the log's end only if the command fails.
quietly() {
  local log=$logs/$1.log
  shift
  "$@" >"$log" 2>&1 && return 0
  tail -n 60 "$log"
  printf 'FAILED: %s (log: %s)\n' "$*" "$log"
  return 1
}

# build PRESET TARGETS...
build() {
  local preset=$1
  shift
  quietly "configure-$preset" cmake --preset "$preset" &&
    quietly "build-$preset" cmake --build --preset "$preset" -j "$jobs" ${@:+--target "$@"}
}

# run_tests PRESET CTEST_OPTIONS...: every test that the build registered.
run_tests() {
  local preset=$1
  shift
  ctest --test-dir "build/$preset" --timeout 600 --no-tests=error --progress --quiet \
    --test-output-size-passed 100000000 --test-output-size-failed 100000000 \
    --output-junit "$results/$preset.xml" "$@" >"$logs/test-$preset.log" 2>&1
  tests/count_results.py "$results/$preset.xml" >"$results/$preset.counts"
  local status=$?
  cat "$results/$preset.counts"
  local counts
  counts=$(tail -n 1 "$results/$preset.counts")
  passed=$((passed + ${counts%% passed*}))
  counts=${counts##* passed, }
  failed=$((failed + ${counts%% failed*}))
  return $status
}

# The installed package serves a project outside of the tree.
install_and_use() {
  local prefix=$root/build/installed
  rm -rf "$prefix" build/outside
  quietly install cmake --install build/cpu-only --prefix "$prefix" || return 1
  local project=tests/package
  [ ! -d examples/custom ] || project=examples/custom
  quietly outside-configure cmake -S "$project" -B build/outside -G Ninja "-DCMAKE_PREFIX_PATH=$prefix" &&
    quietly outside-build cmake --build build/outside -j "$jobs" &&
    quietly outside-test ctest --test-dir build/outside --no-tests=error --output-on-failure
}

parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(setup cuda cpu asan mpich test fuzz install)
for name in "${parts[@]}"; do
  case $name in
    setup) part "setup" 5 deploy/setup.sh --tests --cuda ;;
    # Compiled and linked whole; a kernel that spills registers is a compile error.
    # The launcher's tests name nothing of CUDA: the cpu-only build has them.
    cuda)
      part "build with CUDA (sm_90)" 10 build cuda trireme core_tests comm_tests parallel_tests \
        mpi_suite nccl_suite op_bench
      ;;
    cpu) part "build cpu-only" 3 build cpu-only ;;
    asan)
      part "build asan, ubsan" 7 build asan trireme core_tests comm_tests parallel_tests launcher_tests \
        emulator_tests
      ;;
    mpich) part "build against MPICH" 1 build mpich comm_tests mpi_suite ;;
    test)
      part "data: digits" 1 deploy/data.sh digits
      part "tests, cpu-only" 6 run_tests cpu-only
      part "tests, asan and ubsan" 6 run_tests asan -R '^(core|comm|parallel|launcher|emulator)$' -j "$jobs"
      part "tests, CUDA build" 1 run_tests cuda -R '^(core|comm|parallel)$' -j "$jobs"
      part "communicators on MPICH" 1 run_tests mpich -R '^comm'
      ;;
    fuzz) part "parsers under a fuzzer" 3 tests/fuzz/run.sh short ;;
    install) part "install, outside project" 1 install_and_use ;;
    *) printf 'tests/run.sh: no part %s; setup cuda cpu asan mpich test fuzz install\n' "$name" >&2; exit 64 ;;
  esac
done

printf '\n'
printf '%s\n' "${table[@]}"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
