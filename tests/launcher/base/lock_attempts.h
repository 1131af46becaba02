// A run folder's lock, as tests ask for it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "launcher/base/run_lock.h"
#include "tests/support/scratch_folder.h"

namespace trireme::launcher {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

inline RunLock::Options quick() {
  return {.renew_every = 20ms, .takeover_after = 150ms, .guard_wait = 1s};
}

// "" if the lock could be had.
inline std::string refusal(const ScratchFolder& run, const RunLock::Options& options = quick()) {
  try {
    RunLock lock(run.path(), options);
    EXPECT_TRUE(lock.still_mine());
    return "";
  } catch (const InvalidArgument& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
}

struct Attempt {
  std::string refused;
  Clock::duration took;
  std::vector<std::string> said;

  bool watched() const { return !said.empty() && said[0].find("watching") != std::string::npos; }
};

inline Attempt attempt(const ScratchFolder& run, RunLock::Options options = quick()) {
  Attempt result;
  options.say = [&](const std::string& text) { result.said.push_back(text); };
  const auto start = Clock::now();
  result.refused = refusal(run, options);
  result.took = Clock::now() - start;
  return result;
}

inline LockOwner elsewhere() {
  LockOwner owner = LockOwner::self();
  owner.host = "node07";
  owner.boot = "11111111-2222-3333-4444-555555555555";
  return owner;
}

// The lock can be had at once, and nothing lies about.
inline void expect_free(const ScratchFolder& run, const std::string& when) {
  const Attempt next = attempt(run);
  EXPECT_EQ(next.refused, "") << when;
  EXPECT_FALSE(next.watched()) << when;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(run.path()), {}), 1) << when;
}

}  // namespace trireme::launcher
