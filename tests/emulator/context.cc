#include "context.h"

#include <cstdint>

namespace emulator {

#if defined(__x86_64__)

// What the System V ABI lets a callee keep: rbx, rbp, r12 to r15 and the stack pointer.
asm(R"(
.text
.type emulator_switch_stack, @function
emulator_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  retq
.size emulator_switch_stack, . - emulator_switch_stack
)");
extern "C" void emulator_switch_stack(void** save, void* load);

void Context::prepare(void* stack, size_t bytes, void (*entry)()) {
  auto* top = reinterpret_cast<uint64_t*>(static_cast<char*>(stack) + bytes);
  // entry sees what a call leaves: a return address (0 ends a backtrace) at 16 n + 8.
  *--top = 0;
  *--top = reinterpret_cast<uint64_t>(entry);
  for (int saved = 0; saved < 6; ++saved) *--top = 0;
  stack_pointer_ = top;
}

void Context::switch_to(Context& next) {
  emulator_switch_stack(&stack_pointer_, next.stack_pointer_);
}

#else

void Context::prepare(void* stack, size_t bytes, void (*entry)()) {
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack;
  context_.uc_stack.ss_size = bytes;
  context_.uc_link = nullptr;
  makecontext(&context_, entry, 0);
}

void Context::switch_to(Context& next) { swapcontext(&context_, &next.context_); }

#endif

}  // namespace emulator
