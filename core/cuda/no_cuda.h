// What stands in for CUDA in a build without it: stubs that say so when they are called.
//
// no_cuda.cc holds those of devices and of kernels that call NVIDIA's libraries;
// no_cuda_kernels.cc those of our own kernels. They are two files so that the emulator's tests,
// which define the second file's symbols from the kernel sources, can link the first alone: a
// linker takes from an archive only the members that something still lacks.
#pragma once

#include <string_view>

#include "core/base/error.h"

namespace trireme::core {

[[noreturn]] inline void throw_no_cuda(std::string_view who) {
  throw SystemError(fmt::format(
      "[{}] this build has no CUDA; configure with -DTRIREME_CUDA=ON where a toolkit is installed",
      who));
}

}  // namespace trireme::core
