#!/bin/bash
# How a job over MPI ends: mpi_failures.sh abort|throw|launch MPI_SUITE MPIEXEC
set -u
mode=$1 suite=$2 mpiexec=$3

fail() {
  echo "FAILED: $*"
  cat "$log"
  exit 1
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# ends_with CODE SECONDS COMMAND...
ends_with() {
  local code=$1 seconds=$2 start=$SECONDS
  shift 2
  timeout 30 "$@" >"$log" 2>&1
  local got=$?
  [ "$got" = "$code" ] || fail "exit code $got, not $code: $*"
  [ $((SECONDS - start)) -le "$seconds" ] || fail "took $((SECONDS - start)) s: $*"
}

case $mode in
  abort)
    ends_with 72 5 "$mpiexec" -np 3 "$suite" --abort
    ;;
  throw)
    ends_with 70 5 "$mpiexec" -np 3 "$suite" --throw
    grep -q "the last rank breaks" "$log" || fail "no message of the rank that failed"
    ;;
  launch)
    # What another library's mpirun, or srun without PMI, makes of a process.
    ends_with 64 10 env OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=0 "$suite"
    grep -q "started 4 ranks, but MPI found 1" "$log" || fail "no message about the launch"
    ends_with 64 10 env SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=4 SLURM_NTASKS=4 "$suite"
    grep -q "srun --mpi=pmix" "$log" || fail "no message about srun"
    # A batch script and a plain shell are one rank, without MPI.
    ends_with 0 10 env SLURM_PROCID=0 SLURM_NTASKS=4 "$suite"
    grep -q "1 rank, no MPI" "$log" || fail "a batch script was taken for a launch"
    ;;
  *) exit 2 ;;
esac
