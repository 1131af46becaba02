#!/usr/bin/env bash
# The heavy checks, too long for every change; their tables stand in docs/ with commit and machine.
#
#   tests/campaign.sh mutants [NAME...]    breaks the code on purpose: a test must notice each
set -euo pipefail
cd "$(dirname "$0")/.."
campaign=${1:-}
shift || true
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
case $campaign in
  mutants) exec tests/mutants.py "$@" ;;
  *) printf 'usage: tests/campaign.sh mutants [NAME...]\n' >&2; exit 64 ;;
esac
