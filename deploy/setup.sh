#!/usr/bin/env bash
# Installs what Trireme is built from: the distribution's packages (Debian 12, Ubuntu 24.04), and
# nothing that is there already. The only script of ours that needs root, for apt alone.
#
#   deploy/setup.sh            compilers, libraries, Open MPI, GoogleTest, Google Benchmark
#   deploy/setup.sh --tests    also MPICH, against which the communicators are tested as well,
#                              and clang, whose libFuzzer tests the parsers
#   deploy/setup.sh --cuda     also those parts of CUDA 13.0 that are not found: nvcc, cuBLAS,
#                              cuDNN, NCCL, cudnn-frontend, from PyPI wheels, without root, into
#                              $TRIREME_CUDA_PREFIX (default ~/.local/share/trireme/cuda-13.0)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

packages=(g++ cmake ninja-build ccache git ca-certificates python3
          openmpi-bin libopenmpi-dev protobuf-compiler libprotobuf-dev
          libdnnl-dev ocl-icd-opencl-dev  # dnnl's CMake file asks for OpenCL
          libfmt-dev libspdlog-dev libcli11-dev nlohmann-json3-dev libxxhash-dev libpcre2-dev zlib1g-dev
          libgtest-dev libgmock-dev libbenchmark-dev)
cuda=no
for argument in "$@"; do
  case $argument in
    --tests) packages+=(mpich libmpich-dev clang-16 libclang-rt-16-dev) ;;  # both releases have 16
    --cuda) cuda=yes ;;
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) die "unknown option '$argument'; --tests, --cuda" ;;
  esac
done
# Wheels are fetched by pip; a python3 that has none gets one by python3-venv.
python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-venv)

# The packages of the list that are not installed.
missing_packages() {
  local installed package
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p')
  for package in "${packages[@]}"; do
    grep -qxF "$package" <<<"$installed" || printf '%s\n' "$package"
  done
}

if ! command -v apt-get >/dev/null; then
  die "knows apt only (Debian 12, Ubuntu 24.04). Elsewhere install by hand what CMake looks for:
  C++20 compiler, CMake >= 3.25, ninja, an MPI with mpicxx, protobuf 3.21, oneDNN 2.6 or 3.x, fmt, spdlog,
  CLI11, nlohmann-json, xxHash, zlib, GoogleTest, Google Benchmark (modules, Spack: CMAKE_PREFIX_PATH)"
fi
mapfile -t missing < <(missing_packages)
if [ ${#missing[@]} -gt 0 ]; then
  . /etc/os-release
  case "$ID $VERSION_ID" in
    "debian 12" | "ubuntu 24.04") ;;
    *) say "setup: $PRETTY_NAME was not tried; Debian 12 and Ubuntu 24.04 were" ;;
  esac
  say "setup: installs with apt: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  as_root apt-get update -q >/dev/null
  as_root apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
fi
say "setup: the distribution's packages are there"

if [ "$cuda" = yes ]; then
  # CMake's own search says what a configure would not find.
  lacking=$(cmake -P "$here/../cmake/TriremeCudaFind.cmake" 2>&1)
  if [ -n "$lacking" ] && [ -n "${SUDO_USER:-}" ] && [ "$(id -u)" -eq 0 ]; then
    die "with --cuda run it as $SUDO_USER, without sudo: CUDA's parts go to the home folder, and it asks for root itself"
  fi
  # shellcheck disable=SC2086  # a list of words
  [ -z "$lacking" ] || "$here/cuda_wheels.sh" $lacking
  lacking=$(cmake -P "$here/../cmake/TriremeCudaFind.cmake" 2>&1)
  [ -z "$lacking" ] || die "still not found after fetching: $lacking"
  say "setup: CUDA's parts are there"
fi
