// A wall clock that is wrong: an LD_PRELOAD library that shifts the time of day, and leaves the
// monotonic clocks as they are.
//
//   TRIREME_CLOCK_SHIFT=SECONDS       added to the time of day
//   TRIREME_CLOCK_AFTER=SECONDS       only once the process has run so long: the clock jumps
//   TRIREME_CLOCK_RANK=R              only in the process of that rank of mpirun
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>

#include <cstdlib>
#include <cstring>

namespace {

using ClockGettime = int(clockid_t, timespec*);

int real_gettime(clockid_t clock, timespec* out) {
  static auto* const real = reinterpret_cast<ClockGettime*>(dlsym(RTLD_NEXT, "clock_gettime"));
  return real(clock, out);
}

double number(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? std::atof(value) : 0;
}

double monotonic() {
  timespec now{};
  real_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

time_t shift() {
  static const double start = monotonic();
  static const double after = number("TRIREME_CLOCK_AFTER");
  static const time_t seconds = [] {
    const char* rank = std::getenv("TRIREME_CLOCK_RANK");
    const char* own = std::getenv("OMPI_COMM_WORLD_RANK");
    const bool other = rank != nullptr && std::strcmp(rank, own != nullptr ? own : "0") != 0;
    return other ? time_t{0} : static_cast<time_t>(number("TRIREME_CLOCK_SHIFT"));
  }();
  return monotonic() - start >= after ? seconds : 0;
}

[[gnu::constructor]] void begin() { shift(); }

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* out) noexcept {
  const int status = real_gettime(clock, out);
  if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    out->tv_sec += shift();
  return status;
}

int gettimeofday(timeval* out, void*) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}
}
