// Our own CPU loops, compiled for three x86-64 levels and chosen at start by the dynamic linker.
//
// Put TRIREME_SIMD on a plain function over raw pointers; templates and lambdas called from it are
// cloned only if they are inlined. Sanitizers cannot instrument the resolvers, so it is empty
// there.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__CUDACC__)
#define TRIREME_SIMD \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))
#else
#define TRIREME_SIMD
#endif
