// Opens a shared library at the first call of one of its functions. Compiled once a library, with
// LAZY_NAME, LAZY_SONAME and LAZY_BUILT_AGAINST set; the trampolines beside it (trampolines.S.in)
// call lazy_NAME_resolve for a slot that is still empty.
//
// Why: to load and relocate cuBLASLt, cuDNN and NCCL costs 100 ms and 200 MB, at every start of a
// program that links them (docs/dependencies.md), and a machine without them could not start it at
// all. So `trireme validate` and CPU runs never open them, in a build with CUDA too.
//
// The slots live as long as the process; the library is never closed.
#include <dlfcn.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <stdexcept>
#include <string>

#define LAZY_JOIN_(a, b, c) a##b##c
#define LAZY_JOIN(a, b, c) LAZY_JOIN_(a, b, c)
#define LAZY_SYMBOL(suffix) LAZY_JOIN(lazy_, LAZY_NAME, suffix)

extern "C" {
extern const char* const LAZY_SYMBOL(_names)[];
extern std::atomic<void*> LAZY_SYMBOL(_slots)[];
void* LAZY_SYMBOL(_resolve)(std::size_t index);
}

namespace {

// First as the loader finds it (LD_LIBRARY_PATH, system folders), then where `deploy/setup.sh
// --cuda` puts it, then where the build found it.
void* open_library() {
  if (void* found = dlopen(LAZY_SONAME, RTLD_NOW | RTLD_LOCAL)) return found;
  std::string reason = dlerror();
  if (const char* prefix = std::getenv("TRIREME_CUDA_PREFIX")) {
    if (void* found = dlopen((std::string(prefix) + "/lib/" LAZY_SONAME).c_str(), RTLD_NOW))
      return found;
  }
  if (void* found = dlopen(LAZY_BUILT_AGAINST, RTLD_NOW | RTLD_LOCAL)) return found;
  throw std::runtime_error("[cuda] cannot load " LAZY_SONAME ": " + reason +
                           "; put its folder in LD_LIBRARY_PATH, or fetch it with "
                           "deploy/setup.sh --cuda");
}

}  // namespace

// The address of function `index`. Throws std::runtime_error if the library or the function is
// not there: the trampoline lets the exception through to the caller.
void* LAZY_SYMBOL(_resolve)(std::size_t index) {
  static void* const library = open_library();
  const char* name = LAZY_SYMBOL(_names)[index];
  void* address = dlsym(library, name);
  if (address == nullptr)
    throw std::runtime_error(std::string("[cuda] " LAZY_SONAME " has no function ") + name +
                             ": it is older than the one that this program was built with");
  LAZY_SYMBOL(_slots)[index].store(address, std::memory_order_release);
  return address;
}
