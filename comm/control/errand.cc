#include "comm/control/errand.h"

#include <thread>
#include <utility>

namespace trireme::comm::control {

Errand::Errand(std::function<void()> work) noexcept {
  try {
    std::promise<void> promise;
    std::future<void> done = promise.get_future();
    std::thread([work = std::move(work), promise = std::move(promise)]() mutable {
      try {
        work();
      } catch (...) {  // last words that fail have nobody to be told to
      }
      promise.set_value();
    }).detach();
    done_ = std::move(done);
  } catch (...) {  // no thread: the process ends all the same
  }
}

bool Errand::wait(std::chrono::milliseconds limit) const {
  return done_.valid() && done_.wait_for(limit) == std::future_status::ready;
}

}  // namespace trireme::comm::control
