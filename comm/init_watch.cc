#include "comm/init_watch.h"

#include <fmt/format.h>

#include <cstdio>

#include "core/base/error.h"

namespace trireme::comm {

InitWatch::InitWatch(const Launch& launch, Options options)
    : launch_(launch), options_(std::move(options)), thread_([this] { run(); }) {}

InitWatch::~InitWatch() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  over_.notify_one();
  thread_.join();
}

void InitWatch::run() {
  const auto deadline = std::chrono::steady_clock::now() + options_.limit;
  std::unique_lock lock(mutex_);
  while (!over_.wait_for(lock, options_.pause, [this] { return is_over_; })) {
    if (launcher_.gone()) return end(launcher_.words(), static_cast<int>(ExitCode::kInternal));
    if (std::chrono::steady_clock::now() >= deadline)
      return end(fmt::format("hang: MPI_Init has not come back after {:g} s; a rank may have died "
                             "in it: start the job again",
                             std::chrono::duration<double>(options_.limit).count()),
                 static_cast<int>(ExitCode::kHang));
  }
}

void InitWatch::end(const std::string& why, int code) const {
  const std::string line = fmt::format("rank {}/{}: {}", launch_.rank, launch_.size, why);
  if (options_.say)
    options_.say(line);
  else if (launch_.rank <= 1)
    std::fprintf(stderr, "trireme: %s\n", line.c_str());
  options_.end(code);
}

}  // namespace trireme::comm
