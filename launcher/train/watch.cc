#include "launcher/train/watch.h"

#include "launcher/base/agreement.h"
#include "launcher/base/report.h"
#include "launcher/train/deadline_clock.h"
#include "launcher/train/signals.h"

namespace trireme::launcher {

Watch::Watch(comm::World& world, const DeadlineOptions& deadlines,
             std::filesystem::path flight_folder)
    : world_(world),
      plane_(world.communicator(), {.status = [this] { return status_.read(); },
                                    .deadlines = DeadlineClock(deadlines).deadlines(),
                                    .flight_folder = std::move(flight_folder),
                                    .say =
                                        [](const std::string& line) {
                                          report(line, nullptr);
                                          say_nothing_more();
                                        }}) {}

Watch::~Watch() { status_.detach(); }

ExitCode Watch::guard(const std::function<ExitCode()>& work) {
  try {
    return work();
  } catch (const AgreedFailure&) {
    stop_is_agreed();  // mpirun's TERM, once a rank has ended, is no news
    throw;
  } catch (const PeerFailed&) {
    stop_is_agreed();
    throw;
  } catch (const Error& error) {
    if (world_.size() == 1) throw;
    plane_.fail(error.what(), error.code());
  } catch (const std::exception& error) {
    if (world_.size() == 1) throw;
    plane_.fail(error.what(), ExitCode::kInternal);
  }
}

}  // namespace trireme::launcher
