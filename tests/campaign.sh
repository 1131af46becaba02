#!/usr/bin/env bash
# The heavy checks, too long for every change; their tables stand in docs/ with commit and machine.
#
#   tests/campaign.sh mutants [NAME...]    breaks the code on purpose: a test must notice each
#   tests/campaign.sh faults [PART...]     breaks ranks, disks, files and clocks (--help says more)
#   tests/campaign.sh layouts [--mpirun N] every layout of up to eight ranks against one rank
#   tests/campaign.sh fuzz [TARGET...]     10 million executions of each parser and more
set -euo pipefail
cd "$(dirname "$0")/.."
campaign=${1:-}
shift || true
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
case $campaign in
  mutants) exec tests/mutants.py "$@" ;;
  faults)
    . deploy/mpi_env.sh
    export PYTHONDONTWRITEBYTECODE=1
    cmake --preset cpu-only >/dev/null &&
      cmake --build --preset cpu-only --target trireme stuck_trainer checkpoint_judge fault_inject fault_clock >/dev/null
    exec tests/faults/campaign.py "$@"
    ;;
  layouts)
    . deploy/mpi_env.sh
    cmake --preset cpu-only >/dev/null && cmake --build --preset cpu-only --target trireme parallel_tests >/dev/null
    exec tests/layouts.py "$@"
    ;;
  fuzz) exec tests/fuzz/run.sh long "$@" ;;
  *) printf 'usage: tests/campaign.sh mutants [NAME...] | faults [PART...] | layouts [--mpirun N] | fuzz [TARGET...]\n' >&2; exit 64 ;;
esac
