// A flow of control with a stack of its own: what a CUDA thread is while a kernel is emulated.
//
// All fibers belong to one operating-system thread. Owned by the emulator, which reuses their
// stacks from block to block.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>

#include "context.h"

namespace emulator {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // The next resume() enters `body`, which must outlive the run. Whatever an earlier body left
  // unfinished is forgotten without running its destructors (kernels have none that matter).
  void start(const std::function<void()>& body);

  // Runs the fiber until it yields or its body ends; rethrows what the body threw.
  // Returns whether the body has ended.
  bool resume();

  // Called inside a body: gives control back to resume().
  void yield();

 private:
  static void enter();
  void switch_out(bool for_good);
  void unpoison(size_t top_bytes);

  static constexpr size_t kStackBytes = 128 << 10;
  static constexpr size_t kEntryBytes = 2048;  // of enter() and what it calls when a body ends
  void* stack_ = nullptr;
  Context here_;    // where the fiber goes on
  Context caller_;  // where resume() goes on
  const std::function<void()>* body_ = nullptr;
  std::exception_ptr failure_;
  bool ended_ = true;

  // What AddressSanitizer wants to know of a switch between stacks.
  void* fake_stack_ = nullptr;
  const void* caller_stack_ = nullptr;
  size_t caller_stack_bytes_ = 0;
};

}  // namespace emulator
