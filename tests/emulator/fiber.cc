#include "fiber.h"

#include <sys/mman.h>

#include <new>
#include <utility>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulator {
namespace {

Fiber* entering = nullptr;  // an entry takes no argument

void begin_switch([[maybe_unused]] void** save, [[maybe_unused]] const void* stack,
                  [[maybe_unused]] size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(save, stack, bytes);
#endif
}

void end_switch([[maybe_unused]] void* saved, [[maybe_unused]] const void** stack,
                [[maybe_unused]] size_t* bytes) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(saved, stack, bytes);
#endif
}

}  // namespace

Fiber::Fiber() {
  stack_ = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stack_ == MAP_FAILED) throw std::bad_alloc();
  // The lowest page faults instead of running into the neighbour's stack.
  mprotect(stack_, 4096, PROT_NONE);
}

Fiber::~Fiber() { munmap(stack_, kStackBytes); }

// Frames that never returned have left their red zones behind: those of the entry after every
// run, all of them after a run that was abandoned.
void Fiber::unpoison([[maybe_unused]] size_t top_bytes) {
#ifdef __SANITIZE_ADDRESS__
  __asan_unpoison_memory_region(static_cast<char*>(stack_) + kStackBytes - top_bytes, top_bytes);
#endif
}

void Fiber::start(const std::function<void()>& body) {
  unpoison(ended_ ? kEntryBytes : kStackBytes);
  body_ = &body;
  failure_ = nullptr;
  ended_ = false;
  here_.prepare(stack_, kStackBytes, &Fiber::enter);
}

void Fiber::enter() {
  Fiber& self = *entering;
  end_switch(nullptr, &self.caller_stack_, &self.caller_stack_bytes_);
  try {
    (*self.body_)();
  } catch (...) {
    self.failure_ = std::current_exception();
  }
  self.ended_ = true;
  self.switch_out(true);
}

bool Fiber::resume() {
  entering = this;
  void* own_fake_stack = nullptr;
  begin_switch(&own_fake_stack, stack_, kStackBytes);
  caller_.switch_to(here_);
  end_switch(own_fake_stack, nullptr, nullptr);
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  return ended_;
}

void Fiber::yield() {
  switch_out(false);
  end_switch(fake_stack_, &caller_stack_, &caller_stack_bytes_);
}

void Fiber::switch_out(bool for_good) {
  begin_switch(for_good ? nullptr : &fake_stack_, caller_stack_, caller_stack_bytes_);
  here_.switch_to(caller_);
}

}  // namespace emulator
