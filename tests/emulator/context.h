// Switching the processor from one stack to another.
//
// A kernel's emulation switches millions of times, so x86-64 has its own twenty instructions;
// elsewhere ucontext does it, which calls the kernel each time.
#pragma once

#include <cstddef>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emulator {

class Context {
 public:
  // The next switch to this context calls entry() on the given stack; entry never returns.
  void prepare(void* stack, size_t bytes, void (*entry)());

  // Saves where the caller is in *this and goes on where `next` was saved or prepared.
  void switch_to(Context& next);

 private:
#if defined(__x86_64__)
  void* stack_pointer_ = nullptr;
#else
  ucontext_t context_{};
#endif
};

}  // namespace emulator
