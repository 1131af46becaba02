#!/bin/bash
# How a job ends that is disturbed from outside:
#
#   control_failures.sh kill|stop RANK CONTROL_SUITE MPIEXEC
#   control_failures.sh fail|orphan|quiet 0 CONTROL_SUITE MPIEXEC
#
# Each must end with its code in time, say one line that names the rank, and leave no process.
set -u
mode=$1 rank=$2 suite=$3 mpiexec=$4
ranks=4
deadline_ms=2000

folder=$(mktemp -d)
log=$folder/log
trap 'rm -rf "$folder"' EXIT

fail() {
  echo "FAILED ($mode $rank): $*"
  cat "$log"
  exit 1
}

# Starts the job, and waits until all ranks step.
start() {
  timeout -k 5 60 "$mpiexec" -np $ranks "$suite" "$folder" $deadline_ms "$@" >"$log" 2>&1 &
  job=$!
  wait_for_ranks
}

wait_for_ranks() {
  for _ in $(seq 400); do
    [ "$(cat "$folder"/pid-* 2>/dev/null | wc -l)" = $ranks ] && break
    sleep 0.05
  done
  sleep 0.5
}

pid_of() { cat "$folder/pid-$1"; }

# A zombie whose parent is slow is gone all the same.
is_alive() {
  local state
  state=$(sed -n 's/^State:\s*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)
  [ -n "$state" ] && [ "$state" != Z ] && [ "$state" != X ]
}

# ends_with CODE SECONDS
ends_with() {
  local begin=$SECONDS
  wait "$job"
  local got=$?
  [ "$got" = "$1" ] || fail "exit code $got, not $1"
  [ $((SECONDS - begin)) -le "$2" ] || fail "took $((SECONDS - begin)) s"
  nobody_left
}

nobody_left() {
  for _ in $(seq 40); do
    local left=0 file
    for file in "$folder"/pid-*; do
      is_alive "$(cat "$file")" && left=$((left + 1))
    done
    [ $left = 0 ] && return
    sleep 0.1
  done
  fail "$left processes are left"
}

# says TEXT: the one line of ours holds it.
says() {
  [ "$(grep -c '^trireme: ' "$log")" = 1 ] || fail "not one line of ours"
  grep '^trireme: ' "$log" | grep -qF "$1" || fail "no line with: $1"
}

case $mode in
  kill)
    start
    kill -KILL "$(pid_of "$rank")"
    ends_with 137 6
    says "rank $rank/$ranks on "
    says "is gone: its connection closed while it was in "
    ;;
  stop)
    start
    kill -STOP "$(pid_of "$rank")"
    ends_with 71 $((deadline_ms / 1000 + 5))
    says "hang: rank $rank/$ranks on "
    says "has not been heard for "
    for other in $(seq 0 $((ranks - 1))); do
      [ "$other" = "$rank" ] || [ -s "$folder/flight/rank-0000$other.json" ] ||
        fail "no flight file of rank $other"
    done
    ;;
  fail)
    start --fail
    ends_with 66 3
    says "rank $((ranks - 1))/$ranks on "
    says "[data] a file is torn"
    ;;
  orphan)
    start
    # `timeout` is mpirun's parent.
    kill -KILL "$(cat "/proc/$job/task/$job/children")"
    nobody_left
    # MPI's own daemon notices too; one process without MPI has the plane alone.
    rm -f "$folder"/pid-* && ranks=1
    bash -c '"$@"; true' - "$suite" "$folder" 60000 >"$log" 2>&1 &
    job=$!
    wait_for_ranks
    kill -KILL "$job"
    nobody_left
    says "the launcher (pid $job) is gone"
    ;;
  quiet)
    start --steps 300
    ends_with 0 20
    [ "$(grep -c '^trireme: ' "$log")" = 0 ] || fail "a line of ours in a job that went well"
    ;;
  *) exit 2 ;;
esac
