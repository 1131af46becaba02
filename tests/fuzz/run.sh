#!/usr/bin/env bash
# Feeds the parsers with bytes that nobody meant: libFuzzer, AddressSanitizer, UBSan.
#
#   tests/fuzz/run.sh short [TARGET...]   replays the kept corpora, then 20 s a target, two at a time
#   tests/fuzz/run.sh long [TARGET...]    at least 10 million executions a target, two processes each
#   tests/fuzz/run.sh keep [TARGET...]    takes what reaches new code from the last runs into the corpora
#
# TARGET: job idx safetensors ... (default: all). FUZZ_SECONDS and FUZZ_RUNS change the two amounts.
# Ends with a table. Status 0 only if nothing was found; an input that found something lies in
# build/fuzz/findings and belongs into tests/fuzz/corpus/TARGET under a name that says what it was.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${FUZZ_SECONDS:-20}
runs=${FUZZ_RUNS:-10000000}
work=build/fuzz/work
logs=build/fuzz/logs
findings=build/fuzz/findings
jobs=$(nproc)
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
# addr2line: traces with lines, without LLVM's own symbolizer. The quarantine counts as memory of the
# process, so a small one keeps the limit on it sharp. Without the stacks of allocations it is half as
# fast again; to see them, replay what was found without that option.
export ASAN_OPTIONS=external_symbolizer_path=$(command -v addr2line):quarantine_size_mb=1:thread_local_quarantine_size_kb=64:malloc_context_size=0
export UBSAN_OPTIONS=print_stacktrace=1

build() {
  mkdir -p "$logs" "$findings"
  cmake --preset fuzz >"$logs/configure.log" && cmake --build --preset fuzz -j "$jobs" >"$logs/build.log" ||
    { tail -n 40 "$logs/configure.log" "$logs/build.log"; exit 1; }
  tests/fuzz/make_dictionary.py launcher/job/job.proto >build/fuzz/job.dict
}

# fuzz TARGET LOG ARGUMENTS...: one process. Memory is bounded three times: by the target itself, in
# proportion to the input's size (tests/fuzz/heap_bound.h), for one allocation, and for the process.
fuzz() {
  local target=$1 log=$2 dictionary=tests/fuzz/dictionaries/$1.dict
  shift 2
  [ -e "$dictionary" ] || dictionary=build/fuzz/$target.dict
  [ ! -e "$dictionary" ] || set -- "-dict=$dictionary" "$@"
  "build/fuzz/fuzz_$target" -print_final_stats=1 -max_len=1100 -timeout=10 -rss_limit_mb=512 \
    -malloc_limit_mb=64 "-artifact_prefix=$findings/$target-" "$@" >"$log" 2>&1 && return 0
  printf 'FOUND by %s (%s):\n' "$target" "$log"
  grep -m 3 -E 'ERROR|runtime error|required:|fair$|Test unit written' "$log" || true
  tail -n 30 "$log"
  return 1
}

corpora() {  # of TARGET: what is new goes to the first
  mkdir -p "$work/$1"
  printf '%s\n' "$work/$1" "tests/fuzz/corpus/$1"
  [ "$1" != job ] || printf 'jobs\n'
}

short() {
  local folders
  mapfile -t folders < <(corpora "$1")
  fuzz "$1" "$logs/$1-replay.log" -runs=0 "${folders[@]:1}" || return 1
  if [ "$(stat "$logs/$1-replay.log" accepted)" -eq 0 ]; then
    printf 'FAILED: %s: no input of tests/fuzz/corpus/%s is accepted any more: see make_seeds.py\n' "$1" "$1"
    return 1
  fi
  fuzz "$1" "$logs/$1-1.log" "-max_total_time=$seconds" "${folders[@]}"
}

long() {
  local folders
  mapfile -t folders < <(corpora "$1")
  # Seconds by the clock: a process that gives way to all others may stand still for more than ten.
  fuzz "$1" "$logs/$1-2.log" -timeout=300 "-runs=$((runs / 2))" -use_value_profile=1 "${folders[@]}" &
  local second=$! status=0
  fuzz "$1" "$logs/$1-1.log" -timeout=300 "-runs=$((runs - runs / 2))" "${folders[@]}" || status=1
  wait $second || status=1
  return $status
}

keep() {
  local folders chosen=$work/$1-chosen
  mapfile -t folders < <(corpora "$1")
  rm -rf "$chosen" && mkdir "$chosen"
  "build/fuzz/fuzz_$1" -set_cover_merge=1 "$chosen" "${folders[@]:1}" "${folders[0]}" >"$logs/$1-keep.log" 2>&1
  local file name
  for file in "$chosen"/*; do
    cmp -s "$file" "tests/fuzz/corpus/$1/${file##*/}" && continue
    name=$(md5sum <"$file")
    grep -qF "${name%% *}" < <(md5sum "${folders[@]:1}"/* 2>/dev/null | cut -d' ' -f1) ||
      cp "$file" "tests/fuzz/corpus/$1/reached-${name:0:10}"
  done
  printf '%s: %s files\n' "$1" "$(find "tests/fuzz/corpus/$1" -type f | wc -l)"
}

stat() { sed -n "s/^stat::$2: *//p" "$1" | tail -n 1; }

row() {  # the two processes' sums and maxima
  local target=$1 executed=0 rss=0 cover=0 heap='' log value seeds=
  for log in "$logs/$target"-[12].log; do
    [ -e "$log" ] || continue
    value=$(stat "$log" number_of_executed_units); executed=$((executed + ${value:-0}))
    value=$(stat "$log" peak_rss_mb); [ "${value:-0}" -le "$rss" ] || rss=$value
    value=$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1 | cut -d' ' -f2); [ "${value:-0}" -le "$cover" ] || cover=$value
    heap=$(stat "$log" peak_heap_bytes)
    seeds+=" $(sed -n 's/^INFO: Seed: //p' "$log")"
  done
  local found
  found=$(find "$findings" -name "$target-*" -newer "$logs/started" | wc -l)
  printf '| %s | %d | %d | %d | %s | %d MiB | %s |\n' "$target" "$executed" "$cover" "$found" "$heap" "$rss" "${seeds# }"
}

mode=${1:-}
shift || true
case $mode in short | long | keep) ;; *) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 64 ;; esac
targets=("$@")
[ ${#targets[@]} -gt 0 ] || for file in tests/fuzz/*_fuzz.cc; do file=${file##*/}; targets+=("${file%_fuzz.cc}"); done
build
touch "$logs/started"
for target in "${targets[@]}"; do rm -f "$logs/$target"-[12].log; done
status=0
if [ "$mode" = short ]; then
  # Two at a time; xargs ends with 123 if one of them failed.
  export -f fuzz short corpora stat
  export work logs findings seconds
  printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -c 'short {}' || status=1
else
  for target in "${targets[@]}"; do "$mode" "$target" || status=1; done
fi
[ "$mode" != keep ] || exit $status
printf '\n| parser | executions | edges | found | largest heap of one call | largest process | seeds |\n|---|---|---|---|---|---|---|\n'
for target in "${targets[@]}"; do row "$target"; done
exit $status
