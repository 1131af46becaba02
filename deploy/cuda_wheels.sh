#!/usr/bin/env bash
# Fetches the named parts of CUDA 13.0 from PyPI wheels into one folder that looks like a toolkit:
#
#   deploy/cuda_wheels.sh NVCC CUDART CUBLASLT CUDNN NCCL CUDNN_FRONTEND
#
# The folder is $TRIREME_CUDA_PREFIX, by default ~/.local/share/trireme/cuda-13.0. The versions are
# those that torch 2.11 (cu130) asks for, so that a machine with PyTorch runs what was built here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

prefix=${TRIREME_CUDA_PREFIX:-$HOME/.local/share/trireme/cuda-13.0}
wheels=()
for part in "$@"; do
  case $part in
    NVCC) wheels+=(nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88
                   nvidia-cuda-cccl==13.0.85) ;;
    CUDART) wheels+=(nvidia-cuda-runtime==13.0.96 nvidia-cuda-culibos==13.0.85) ;;
    CUBLASLT) wheels+=(nvidia-cublas==13.1.0.3) ;;
    CUDNN) wheels+=(nvidia-cudnn-cu13==9.19.0.56 nvidia-cuda-nvrtc==13.0.88) ;;  # it compiles fusions at run time
    NCCL) wheels+=(nvidia-nccl-cu13==2.28.9) ;;
    CUDNN_FRONTEND) wheels+=(nvidia-cudnn-frontend==1.23.0) ;;  # headers alone
    *) die "unknown part '$part'; one of NVCC CUDART CUBLASLT CUDNN NCCL CUDNN_FRONTEND" ;;
  esac
done
[ ${#wheels[@]} -gt 0 ] || { say "CUDA: nothing to fetch"; exit 0; }

say "CUDA: fetching into $prefix: ${wheels[*]}"
# Beside the prefix, so that moving is a rename; a name of its own, so that two runs do not meet.
mkdir -p "$prefix"
temp=$(mktemp -d "$prefix/.fetch-XXXXXX")
trap 'rm -rf "$temp"' EXIT
# With --target PEP 668 does not apply: nothing of the system's Python is touched.
trireme_pip install --quiet --no-deps --no-compile --target "$temp/site" "${wheels[@]}"

# The wheels spread over nvidia/cu13, nvidia/cudnn, nvidia/nccl: one toolkit's folders instead.
mkdir -p "$prefix"/{bin,include,lib,licenses}
for tree in "$temp"/site/nvidia/*/; do
  for folder in bin include lib nvvm; do
    [ ! -d "$tree/$folder" ] || cp -al --remove-destination "$tree/$folder" "$prefix/"
  done
done
[ ! -d "$temp/site/include" ] || cp -al --remove-destination "$temp/site/include" "$prefix/"
for info in "$temp"/site/*.dist-info; do
  cp -al --remove-destination "$info" "$prefix/licenses/"
done
ln -sfn lib "$prefix/lib64"
# Wheels lack the names that a linker looks for.
for library in "$prefix"/lib/lib*.so.*; do
  ln -sf "$(basename "$library")" "${library%%.so.*}.so"
done
say "CUDA: done ($(du -sh "$prefix" | cut -f1))"
