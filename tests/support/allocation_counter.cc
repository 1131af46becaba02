#include "tests/support/allocation_counter.h"

#ifdef TRIREME_COUNTS_ALLOCATIONS

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <new>
#include <string_view>

namespace {

thread_local bool counting = false;
thread_local int64_t count = 0;
thread_local void* first = nullptr;

bool from_a_library_that_may(void* caller) {
  Dl_info info;
  if (dladdr(caller, &info) == 0 || !info.dli_fname) return false;
  const std::string_view file = info.dli_fname;
  return file.find("libdnnl") != file.npos || file.find("libgomp") != file.npos;
}

void* allocate(size_t bytes, size_t alignment, void* caller) {
  if (counting && !from_a_library_that_may(caller)) {
    if (count++ == 0) first = caller;
  }
  bytes = bytes == 0 ? 1 : bytes;
  void* memory = alignment == 0 ? std::malloc(bytes)
                                : std::aligned_alloc(
                                      alignment, (bytes + alignment - 1) / alignment * alignment);
  if (!memory) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(size_t bytes) { return allocate(bytes, 0, __builtin_return_address(0)); }
void* operator new[](size_t bytes) { return allocate(bytes, 0, __builtin_return_address(0)); }
void* operator new(size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<size_t>(alignment), __builtin_return_address(0));
}
void* operator new[](size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<size_t>(alignment), __builtin_return_address(0));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

namespace trireme::test {

AllocationCounter::AllocationCounter() {
  count = 0;
  first = nullptr;
  counting = true;
}

AllocationCounter::~AllocationCounter() { counting = false; }

int64_t AllocationCounter::allocations() const { return count; }

std::string AllocationCounter::first_caller() const {
  Dl_info info;
  if (!first || dladdr(first, &info) == 0) return "nowhere";
  return fmt::format("{}+{:#x}", info.dli_fname ? info.dli_fname : "?",
                     static_cast<char*>(first) - static_cast<char*>(info.dli_fbase));
}

}  // namespace trireme::test

#endif
