# CUDA, or not: sets TRIREME_WITH_CUDA, enables the language, and makes
#
#   Trireme::cuda   the CUDA runtime (static), cuBLAS, cuBLASLt, cuDNN and cudnn-frontend's headers
#   Trireme::nccl   NCCL
#
# The runtime is static and the libraries are opened at their first use, so that one binary starts,
# and trains on CPUs, on machines that have none of them.
set(TRIREME_WITH_CUDA OFF)
if(TRIREME_CUDA STREQUAL "OFF")
  message(STATUS "CUDA: off")
  return()
endif()
include(TriremeCudaFind)
# The frontend's headers serve attention alone, which not every build needs.
list(REMOVE_ITEM TRIREME_CUDA_MISSING CUDNN_FRONTEND)
if(TRIREME_CUDA_MISSING)
  list(JOIN TRIREME_CUDA_MISSING ", " missing)
  if(TRIREME_CUDA STREQUAL "ON")
    message(FATAL_ERROR "TRIREME_CUDA=ON, but not found: ${missing}. `deploy/setup.sh --cuda` fetches "
      "what is missing; or set CUDA_HOME, or CMAKE_PREFIX_PATH.")
  endif()
  message(STATUS "CUDA: off, not found: ${missing} (deploy/setup.sh --cuda fetches them)")
  return()
endif()
set(TRIREME_WITH_CUDA ON)

set(CMAKE_CUDA_COMPILER ${TRIREME_NVCC})
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc 12 has it
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
message(STATUS "CUDA: ${CMAKE_CUDA_COMPILER_VERSION} (${TRIREME_NVCC}) for ${CMAKE_CUDA_ARCHITECTURES}; "
  "${TRIREME_CUBLASLT_LIBRARY}, ${TRIREME_CUDNN_LIBRARY}, ${TRIREME_NCCL_LIBRARY}")

include(TriremeLazyLibrary)
find_library(TRIREME_CUBLAS_LIBRARY cublas HINTS ${TRIREME_CUBLASLT_LIBRARY}/.. REQUIRED)
trireme_lazy_library(cublas ${TRIREME_CUBLAS_LIBRARY})
trireme_lazy_library(cublasLt ${TRIREME_CUBLASLT_LIBRARY})
trireme_lazy_library(cudnn ${TRIREME_CUDNN_LIBRARY})
trireme_lazy_library(nccl ${TRIREME_NCCL_LIBRARY})

add_library(trireme_cuda INTERFACE)
target_link_libraries(trireme_cuda INTERFACE
  trireme_cublas trireme_cublasLt trireme_cudnn ${TRIREME_CUDART_LIBRARY} Threads::Threads ${CMAKE_DL_LIBS} rt)
foreach(part CUBLASLT CUDNN CUDNN_FRONTEND CUDART)
  if(TRIREME_${part}_INCLUDE)
    # SYSTEM: the house's warnings are not for headers of others.
    target_include_directories(trireme_cuda SYSTEM INTERFACE
      $<BUILD_INTERFACE:${TRIREME_${part}_INCLUDE}>)
  endif()
endforeach()
add_library(Trireme::cuda ALIAS trireme_cuda)

add_library(trireme_nccl_headers INTERFACE)
target_include_directories(trireme_nccl_headers SYSTEM INTERFACE
  $<BUILD_INTERFACE:${TRIREME_NCCL_INCLUDE}> $<BUILD_INTERFACE:${TRIREME_CUDART_INCLUDE}>)
target_link_libraries(trireme_nccl_headers INTERFACE trireme_nccl trireme_cuda)
add_library(Trireme::nccl ALIAS trireme_nccl_headers)
