// Functions that the CPU's compiler and CUDA's both compile.
#pragma once

#ifdef __CUDACC__
#define TRIREME_HOST_DEVICE __host__ __device__ inline
#else
#define TRIREME_HOST_DEVICE inline
#endif
