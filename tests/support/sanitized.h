// Whether this is a sanitized build, in which threads of ranks are some thirty times as slow: tests of
// many cases take a few of them, enough to see the code run.
#pragma once

namespace trireme::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

}  // namespace trireme::test
