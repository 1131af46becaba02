// Which process holds a lock, in words that another process can check.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trireme::launcher {

// The contents of a lock file, one line of JSON. Its counter stands last and has a fixed width, so
// that it can be written in place, and no mixture of an old and a new one is malformed.
struct LockOwner {
  std::string host;                   // for people
  std::string boot;                   // of the machine, new at every start; "" if unknown
  uint64_t pid_namespace = 0;         // in which `pid` has a meaning; 0 if unknown
  int64_t pid = 0;                    // of the process
  uint64_t start_time = 0;            // of the process, in ticks since the machine's start
  std::string uuid;                   // of this very lock
  std::string since;                  // wall clock, for people: nothing is decided by it
  static constexpr int kDigits = 20;  // of the counter

  // This process, with a new uuid.
  static LockOwner self();
  // Nothing if the text is not what encode() writes.
  static std::optional<LockOwner> parse(std::string_view text);

  std::string encode(uint64_t counter) const;
  // Where in the file the counter's digits stand, and those digits.
  int64_t counter_offset() const;
  static std::string digits(uint64_t counter);

  enum class Life { kAlive, kGone, kUnknown };
  // kUnknown if it runs, or ran, where this process cannot see it: on another host, before a
  // restart of this one, in another container. Whoever has the pid now is the owner only if it
  // started when the owner did.
  Life life() const;

  std::string str() const;  // "pid 123 on node07 since 2026-01-31 12:00:00 UTC"
};

}  // namespace trireme::launcher
