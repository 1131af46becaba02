// Memory that a parser takes, held against the size of what it was given.
//
// A file that states large numbers must not cost more than its own size warrants. The heap's peak
// during one call is watched; one that goes beyond ends the program, so that libFuzzer keeps the
// input as it does for a crash.
#pragma once

#include <cstddef>

namespace trireme::fuzz {

class HeapBound {
 public:
  // At most `fixed + per_byte * input_bytes` more than now may be in use at once, until the end of
  // this object's life. One at a time.
  HeapBound(size_t input_bytes, size_t fixed, size_t per_byte);
  ~HeapBound();
  HeapBound(const HeapBound&) = delete;
};

// An input was accepted. Replaying a corpus of which none is accepted any more would test little:
// run.sh looks at the count.
void count_accepted();

// Ends the program as a crash does, with `what` on stderr, unless `holds`.
void require(bool holds, const char* what);

}  // namespace trireme::fuzz
