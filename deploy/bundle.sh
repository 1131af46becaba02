#!/usr/bin/env bash
# Makes one relocatable folder that runs on any x86-64 Linux with glibc >= 2.36 (that of the
# machine that made it), nothing installed:
#
#   deploy/bundle.sh [--build DIR] [OUT]
#
#   --build DIR   a finished build (default: builds the preset cuda-release in build/cuda-release)
#   OUT           the folder to make (default build/bundle/trireme)
#
# It holds trireme, the tests, Open MPI with mpirun, and every library but glibc's and CUDA's;
# OUT/env.sh finds CUDA's, and unpacks oneDNN at its first run. Fails above 60 MiB. Needs patchelf.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
. "$here/lib.sh"

build='' out=$root/build/bundle/trireme
while [ $# -gt 0 ]; do
  case $1 in
    --build) build=$(cd "$2" && pwd); shift 2 ;;
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) die "unknown option '$1'; --build DIR" ;;
    *) out=$1; shift ;;
  esac
done
command -v patchelf >/dev/null || { say "bundle: installs with apt: patchelf"; as_root apt-get install -y -q --no-install-recommends patchelf >/dev/null; }
if [ -z "$build" ]; then
  build=$root/build/cuda-release
  (cd "$root" && cmake --preset cuda-release -DTRIREME_BENCH=OFF && cmake --build --preset cuda-release)
fi
[ -x "$build/trireme" ] || die "$build holds no trireme"

# The folder is made beside its place and moved there whole.
out_parent=$(mkdir -p "$(dirname "$out")" && cd "$(dirname "$out")" && pwd)
out=$out_parent/$(basename "$out")
new=$(mktemp -d "$out_parent/.bundle-XXXXXX")
trap 'rm -rf "$new"' EXIT
chmod 755 "$new"
mkdir -p "$new"/{bin,tests,lib/openmpi,lib/pmix,share,etc,jobs,data}

cp "$build/trireme" "$new/bin/"
# Those that a GPU matters to.
find "$build/tests" -type f -perm -u+x \( -name '*_tests' -o -name '*_suite' \) \
  ! -name launcher_tests ! -name control_suite -exec cp -t "$new/tests" {} +

# mpirun, its daemon, and the plug-ins that serve TCP and shared memory, Slurm and ssh. Those of
# fabrics are left out: each drags its own libraries in.
mpirun=$(readlink -f "$(command -v mpirun.openmpi || command -v mpirun)")
cp "$mpirun" "$new/bin/mpirun"
cp "$(readlink -f "$(command -v orted)")" "$new/bin/orted"
plugins=$(ompi_info --path pkglibdir --parsable | cut -d: -f3)
for plugin in "$plugins"/mca_*.so; do
  case $plugin in
    *_ofi.so | *_ucx.so | *_atomic_* | *_openib.so | *_psm*.so | *_flux.so | *_monitoring.so | *memheap* | *sshmem* | *scoll* | *spml* | *_io_* | *_fs_* | *_fbtl_* | *_fcoll_* | *_sharedfp_*) ;;
    *) cp "$plugin" "$new/lib/openmpi/" ;;
  esac
done
cp -r "$(ompi_info --path pkgdatadir --parsable | cut -d: -f3)" "$new/share/openmpi"
: >"$new/etc/openmpi-mca-params.conf"
pmix=$(dirname "$(ldd "$plugins/mca_pmix_ext3x.so" | awk '/libpmix/ {print $3; exit}' | xargs readlink -f)")
cp "$pmix"/pmix/*.so "$new/lib/pmix/"
cp -r "$pmix/../share/pmix" "$new/share/pmix"

# Every library that these need, by the loader's own account, less glibc's.
libraries() {
  find "$new" -type f \( -perm -u+x -o -name '*.so' \) -exec ldd {} + 2>/dev/null |
    awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u |
    grep -vE '/(ld-linux[^/]*|lib(c|m|dl|rt|pthread|resolv|util|nsl|anl)\.so[^/]*)$'
}
libraries | while read -r library; do cp -L "$library" "$new/lib/$(basename "$library")"; done

for file in "$new"/bin/* "$new"/tests/* "$new"/lib/*.so* "$new"/lib/*/*.so; do
  strip --strip-unneeded "$file"
  folder=$(dirname "${file#"$new/"}")
  case $folder in
    lib) rpath="\$ORIGIN" ;;
    lib/*) rpath="\$ORIGIN/.." ;;
    *) rpath="\$ORIGIN/../lib" ;;
  esac
  patchelf --set-rpath "$rpath" "$file"
done

# oneDNN alone is 38 MiB of kernels for every processor, and packs to 11.
gzip -9n "$new"/lib/libdnnl.so.*

# The libraries' major numbers that this build was made against.
soname() { strings "$build/trireme" | grep -oE "^lib$1\.so\.[0-9]+" | head -n 1 | grep -oE '[0-9]+$' || echo 0; }
sed -e "s/@CUBLASLT@/$(soname cublasLt)/g" -e "s/@CUDNN@/$(soname cudnn)/" -e "s/@NCCL@/$(soname nccl)/" \
  "$here/bundle_env.sh" >"$new/env.sh"
chmod 755 "$new/env.sh"
cp "$here/mpi_env.sh" "$root/LICENSE" "$new/"
[ ! -f "$root/bench/gpu_suite.sh" ] || cp "$root/bench/gpu_suite.sh" "$new/"
cp "$root"/jobs/*.txtpb "$new/jobs/" 2>/dev/null || true
cp "$root"/data/digits-* "$new/data/" 2>/dev/null || true
{
  echo "Trireme, made $(date -u +%F) from $(git -C "$root" describe --always --dirty) on $(. /etc/os-release && echo "$PRETTY_NAME")."
  echo "glibc: $(ldd --version | head -n 1). Its libraries come from that distribution's packages, each under its own licence."
  echo "./env.sh mpirun -np 2 trireme train jobs/lenet5_digits.txtpb; ./gpu_suite.sh on a machine with a GPU."
} >"$new/README.txt"

bytes=$(du -sb "$new" | cut -f1)
rm -rf "$out" && mv "$new" "$out"
say "bundle: $out, $((bytes / 1048576)).$((bytes % 1048576 * 10 / 1048576)) MiB"
[ "$bytes" -le $((60 * 1048576)) ] || die "larger than 60 MiB: $(du -ab "$out" | sort -rn | sed -n '2,12p' | tr '\n' ' ')"
