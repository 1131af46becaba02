#!/usr/bin/env bash
# The environment of a bundle made by deploy/bundle.sh. Run a command in it, or source it:
#
#   ./env.sh mpirun -np 2 trireme train jobs/lenet5_digits.txtpb
#   . ./env.sh
#
# Everything but glibc and CUDA lies in the bundle. CUDA's libraries are looked for in
# LD_LIBRARY_PATH, $TRIREME_CUDA_PREFIX, a toolkit ($CUDA_HOME, /usr/local/cuda*), the system's
# folders and the folders of PyPI's nvidia-* wheels (python3's, and environments under /opt).
bundle=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Debian's Open MPI and PMIx know their folders by absolute names: each is named anew.
export OPAL_PREFIX=$bundle OPAL_BINDIR=$bundle/bin OPAL_LIBDIR=$bundle/lib
export OPAL_PKGLIBDIR=$bundle/lib/openmpi OPAL_PKGDATADIR=$bundle/share/openmpi
export OPAL_DATADIR=$bundle/share OPAL_SYSCONFDIR=$bundle/etc
export PMIX_PREFIX=$bundle PMIX_INSTALL_PREFIX=$bundle PMIX_LIBDIR=$bundle/lib
export PMIX_PKGLIBDIR=$bundle/lib/pmix PMIX_PKGDATADIR=$bundle/share/pmix PMIX_SYSCONFDIR=$bundle/etc
export PMIX_MCA_mca_base_component_path=$bundle/lib/pmix
export PATH=$bundle/bin:$bundle/tests:$PATH
. "$bundle/mpi_env.sh"

# The largest library travels packed (deploy/bundle.sh): unpacked once, beside itself or, in a
# read-only bundle, in the cache folder. Through a temporary name: ranks may come at once.
for packed in "$bundle"/lib/*.gz; do
  [ -e "$packed" ] || continue
  unpacked=${packed%.gz}
  if [ ! -e "$unpacked" ] && [ ! -w "$bundle/lib" ]; then
    unpacked=${XDG_CACHE_HOME:-$HOME/.cache}/trireme/$(cksum <"$packed" | cut -d' ' -f1)/$(basename "$unpacked")
    mkdir -p "$(dirname "$unpacked")"
    # What it needs itself is in the bundle, no longer beside it.
    export LD_LIBRARY_PATH=$(dirname "$unpacked"):$bundle/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  fi
  [ -e "$unpacked" ] || { gzip -dc "$packed" >"$unpacked.$$" && mv "$unpacked.$$" "$unpacked"; }
done
unset packed unpacked

# Prints the folders that may hold CUDA's libraries, best first.
cuda_folders() {
  printf '%s\n' "${TRIREME_CUDA_PREFIX:-$HOME/.local/share/trireme/cuda-13.0}/lib" \
    "${CUDA_HOME:-/usr/local/cuda}/lib64" /usr/local/cuda-13*/lib64 /usr/lib/x86_64-linux-gnu
  if command -v python3 >/dev/null; then
    python3 -c 'import nvidia, glob
for root in nvidia.__path__: print(*glob.glob(root + "/*/lib"), sep="\n")' 2>/dev/null
  fi
  printf '%s\n' /opt/*/.venv/lib/python3*/site-packages/nvidia/*/lib \
    /opt/*/lib/python3*/site-packages/nvidia/*/lib \
    /usr/local/lib/python3*/{site,dist}-packages/nvidia/*/lib /usr/local/nvidia/lib64
}

# The first folder of each library that the loader would not find by itself. cuDNN compiles with
# nvrtc; libcuda is the driver's.
found=
for library in libcublasLt.so.@CUBLASLT@ libcudnn.so.@CUDNN@ libnccl.so.@NCCL@ libnvrtc.so.@CUBLASLT@ libcuda.so.1; do
  ldconfig -p 2>/dev/null | grep -qF "$library" && continue
  while read -r folder; do
    if [ -e "$folder/$library" ]; then
      case ":$found:${LD_LIBRARY_PATH:-}:" in *":$folder:"*) ;; *) found=$found${found:+:}$folder ;; esac
      break
    fi
  done < <(cuda_folders)
done
[ -z "$found" ] || export LD_LIBRARY_PATH=$found${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
unset found library folder
unset -f cuda_folders

# Sourced, it is done; run, it becomes the command.
if [ "${BASH_SOURCE[0]}" = "$0" ]; then exec "$@"; fi
