// Watches over MPI_Init, which waits for ever if a rank dies in it: no control plane is there yet.
#pragma once

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "comm/launch.h"
#include "comm/launcher_process.h"

namespace trireme::comm {

// Lives around the call. Ends the process if that takes longer than `limit`, with 71, or if the
// launcher dies, with 70; ranks 0 and 1 say so, since either may be the one that died.
class InitWatch {
 public:
  struct Options {
    std::chrono::milliseconds limit = std::chrono::minutes(10);
    std::chrono::milliseconds pause = std::chrono::milliseconds(250);
    std::function<void(const std::string& line)> say;  // empty: a line on stderr
    std::function<void(int code)> end = ::_exit;
  };

  explicit InitWatch(const Launch& launch) : InitWatch(launch, Options()) {}
  InitWatch(const Launch& launch, Options options);
  ~InitWatch();
  InitWatch(const InitWatch&) = delete;
  InitWatch& operator=(const InitWatch&) = delete;

 private:
  void run();
  void end(const std::string& why, int code) const;

  const Launch launch_;
  const Options options_;
  const LauncherProcess launcher_;
  std::mutex mutex_;
  std::condition_variable over_;
  bool is_over_ = false;
  std::thread thread_;
};

}  // namespace trireme::comm
