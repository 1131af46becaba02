#include "tests/fuzz/heap_bound.h"

#include <sanitizer/allocator_interface.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace trireme::fuzz {
namespace {

// Of the call that is watched, in bytes.
struct Watch {
  bool on = false;
  int64_t in_use = 0, peak = 0;
  int64_t allowed = 0, fixed = 0, input_bytes = 0;
} watch;

// Of all calls: what run.sh reports.
struct Most {
  double per_byte = 0;
  int64_t bytes = 0, of_input_bytes = 0;
  int64_t accepted = 0;
} most;

void on_allocate(const volatile void*, size_t bytes) {
  if (!watch.on) return;
  watch.in_use += static_cast<int64_t>(bytes);
  watch.peak = std::max(watch.peak, watch.in_use);
}

void on_free(const volatile void* memory) {
  if (watch.on && memory != nullptr)
    watch.in_use -= static_cast<int64_t>(__sanitizer_get_allocated_size(memory));
}

void print_most() {
  std::fprintf(stderr, "stat::peak_heap_bytes: %lld of an input of %lld bytes\n",
               static_cast<long long>(most.bytes), static_cast<long long>(most.of_input_bytes));
  std::fprintf(stderr, "stat::accepted: %lld\n", static_cast<long long>(most.accepted));
  std::fprintf(stderr, "stat::peak_heap_per_byte_beyond_fixed: %.1f\n", most.per_byte);
}

bool install() {
  require(__sanitizer_install_malloc_and_free_hooks(on_allocate, on_free) != 0,
          "no room for the heap's hooks");
  std::atexit(print_most);
  return true;
}

}  // namespace

HeapBound::HeapBound(size_t input_bytes, size_t fixed, size_t per_byte) {
  static const bool installed [[maybe_unused]] = install();
  watch = {.on = true,
           .allowed = static_cast<int64_t>(fixed + per_byte * input_bytes),
           .fixed = static_cast<int64_t>(fixed),
           .input_bytes = static_cast<int64_t>(input_bytes)};
}

HeapBound::~HeapBound() {
  watch.on = false;
  if (watch.peak > most.bytes) {
    most.bytes = watch.peak;
    most.of_input_bytes = watch.input_bytes;
  }
  const auto beyond = static_cast<double>(std::max<int64_t>(watch.peak - watch.fixed, 0));
  most.per_byte = std::max(most.per_byte, beyond / static_cast<double>(watch.input_bytes + 1));
  if (watch.peak <= watch.allowed) return;
  std::fprintf(stderr, "an input of %lld bytes took %lld bytes of memory; at most %lld are fair\n",
               static_cast<long long>(watch.input_bytes), static_cast<long long>(watch.peak),
               static_cast<long long>(watch.allowed));
  std::abort();
}

void count_accepted() { ++most.accepted; }

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "required: %s\n", what);
  std::abort();
}

}  // namespace trireme::fuzz
