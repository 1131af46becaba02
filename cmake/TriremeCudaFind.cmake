# Where CUDA's parts lie. Sets TRIREME_NVCC, TRIREME_{CUDART,CUBLASLT,CUDNN,NCCL}_LIBRARY,
# TRIREME_{CUDART,CUBLAS,CUDNN,NCCL,CUDNN_FRONTEND}_INCLUDE and TRIREME_CUDA_MISSING, the list of
# parts that were not found.
#
# Also a script: `cmake -P cmake/TriremeCudaFind.cmake` prints that list, so that
# deploy/setup.sh --cuda fetches exactly what a configure would not find.
#
#   CUDA_HOME, /usr/local/cuda     a toolkit, with or without cuBLAS
#   the system's own folders       cuDNN and NCCL as distributions install them
#   TRIREME_CUDA_PREFIX            what deploy/setup.sh --cuda fetched from wheels
#   TRIREME_IGNORE_SYSTEM_CUDA=1   in the environment: look in TRIREME_CUDA_PREFIX alone
if(CMAKE_SCRIPT_MODE_FILE)
  cmake_policy(VERSION 3.25)
  set(CMAKE_FIND_LIBRARY_PREFIXES lib)
  set(CMAKE_FIND_LIBRARY_SUFFIXES .so .a)
  set(CMAKE_SYSTEM_PREFIX_PATH /usr/local /usr)
  cmake_host_system_information(RESULT machine QUERY OS_PLATFORM)
  set(CMAKE_LIBRARY_ARCHITECTURE ${machine}-linux-gnu)
endif()

if(DEFINED ENV{TRIREME_CUDA_PREFIX})
  set(TRIREME_CUDA_PREFIX $ENV{TRIREME_CUDA_PREFIX})
elseif(NOT TRIREME_CUDA_PREFIX)
  set(TRIREME_CUDA_PREFIX $ENV{HOME}/.local/share/trireme/cuda-13.0)
endif()

set(system_roots)
set(only_prefix)
if("$ENV{TRIREME_IGNORE_SYSTEM_CUDA}")
  set(only_prefix NO_DEFAULT_PATH)
else()
  set(system_roots $ENV{CUDA_HOME} $ENV{CUDAToolkit_ROOT} /usr/local/cuda)
endif()
set(roots ${system_roots} ${TRIREME_CUDA_PREFIX})

find_program(TRIREME_NVCC nvcc HINTS ${CMAKE_CUDA_COMPILER} ${roots} PATH_SUFFIXES bin ${only_prefix})
if(TRIREME_NVCC)
  cmake_path(GET TRIREME_NVCC PARENT_PATH nvcc_folder)
  cmake_path(GET nvcc_folder PARENT_PATH nvcc_root)
  list(PREPEND roots ${nvcc_root})
endif()

function(trireme_cuda_part name header library)
  find_path(TRIREME_${name}_INCLUDE ${header} HINTS ${roots}
    PATH_SUFFIXES include targets/x86_64-linux/include targets/sbsa-linux/include ${only_prefix})
  set(found ${TRIREME_${name}_INCLUDE})
  if(library)
    find_library(TRIREME_${name}_LIBRARY ${library} HINTS ${roots}
      PATH_SUFFIXES lib64 lib targets/x86_64-linux/lib targets/sbsa-linux/lib ${only_prefix})
    if(NOT TRIREME_${name}_LIBRARY)
      set(found)
    endif()
  endif()
  if(NOT found)
    list(APPEND TRIREME_CUDA_MISSING ${name})
    set(TRIREME_CUDA_MISSING ${TRIREME_CUDA_MISSING} PARENT_SCOPE)
  endif()
endfunction()

set(TRIREME_CUDA_MISSING)
if(NOT TRIREME_NVCC)
  list(APPEND TRIREME_CUDA_MISSING NVCC)
endif()
trireme_cuda_part(CUDART cuda_runtime.h cudart_static)
trireme_cuda_part(CUBLASLT cublasLt.h cublasLt)
trireme_cuda_part(CUDNN cudnn.h cudnn)
trireme_cuda_part(NCCL nccl.h nccl)
trireme_cuda_part(CUDNN_FRONTEND cudnn_frontend.h "")

if(CMAKE_SCRIPT_MODE_FILE)
  list(JOIN TRIREME_CUDA_MISSING " " line)
  message("${line}")
endif()
