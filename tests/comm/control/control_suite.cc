// A job over real MPI that somebody disturbs (control_failures.sh), or measures:
//
//   control_suite FOLDER DEADLINE_MS           steps until it is ended; FOLDER/pid-RANK tells whom
//                                              to kill
//   control_suite FOLDER DEADLINE_MS --fail    the last rank fails, with code 66
//   control_suite FOLDER DEADLINE_MS --steps N ends in order after N steps of 5 ms, and prints what
//                                              the plane's thread cost

#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "comm/control/control_plane.h"
#include "comm/world.h"
#include "core/base/error.h"

namespace trireme::comm {
namespace {

// Where the rank's main thread is.
struct Progress {
  std::atomic<int64_t> pass{0};
  std::atomic<bool> waits{false};

  Status status() const {
    const bool waiting = waits;
    return {pass, waiting ? 1 : 0, pass < 2 ? Phase::kFirstStep : Phase::kStep,
            waiting ? "all_reduce of bucket 1" : "backward of conv1"};
  }
};

struct Arguments {
  std::filesystem::path folder;
  std::chrono::milliseconds deadline{};
  bool fails = false;
  int64_t steps = 0;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments{.folder = argv[1], .deadline = std::chrono::milliseconds(std::stoi(argv[2]))};
  for (int i = 3; i < argc; ++i) {
    if (std::strcmp(argv[i], "--fail") == 0) arguments.fails = true;
    if (std::strcmp(argv[i], "--steps") == 0 && i + 1 < argc)
      arguments.steps = std::stoll(argv[++i]);
  }
  return arguments;
}

ControlPlane::Options options_of(const Arguments& arguments, const Progress& progress) {
  const auto t = arguments.deadline;
  return {.status = [&progress] { return progress.status(); },
          .deadlines = {t, t, t, t, t, t},
          .flight_folder = arguments.folder / "flight",
          .say =
              [](const std::string& line) {
                const std::string text = "trireme: " + line + "\n";
                std::fputs(text.c_str(), stderr);
              }};
}

void step(Communicator& group, Progress& progress) {
  progress.waits = false;
  ++progress.pass;
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  progress.waits = true;
  barrier(group);
}

void write_pid(const Arguments& arguments, int rank) {
  std::ofstream(arguments.folder / ("pid-" + std::to_string(rank))) << getpid() << "\n";
}

// Of the thread with this name: times it was woken, and CPU seconds.
void print_cost(const std::string& name, double seconds) {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string comm, word;
    std::getline(std::ifstream(task.path() / "comm"), comm);
    if (comm != name) continue;
    int64_t nanoseconds = 0, wakes = 0;
    std::ifstream(task.path() / "schedstat") >> nanoseconds;
    for (std::ifstream status(task.path() / "status"); status >> word;)
      if (word == "voluntary_ctxt_switches:") status >> wakes;
    std::printf("%s: %.1f wakes/s, %.4f CPU seconds a minute, over %.1f s\n", name.c_str(),
                static_cast<double>(wakes) / seconds,
                static_cast<double>(nanoseconds) * 60e-9 / seconds, seconds);
  }
}

void run(World& world, const Arguments& arguments) {
  Progress progress;
  ControlPlane plane(world.communicator(), options_of(arguments, progress));
  const auto start = std::chrono::steady_clock::now();
  barrier(world.communicator());
  write_pid(arguments, world.rank());
  for (int64_t n = 0; arguments.steps == 0 || n < arguments.steps; ++n) {
    step(world.communicator(), progress);
    if (arguments.fails && n == 20 && world.rank() == world.size() - 1)
      plane.fail("[data] a file is torn", ExitCode::kBadData);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (world.rank() <= 1) print_cost("trireme-control", took.count());
}

}  // namespace
}  // namespace trireme::comm

int main(int argc, char** argv) {
  using namespace trireme;
  if (argc < 3) return 64;
  std::unique_ptr<comm::World> world;
  try {
    world = std::make_unique<comm::World>();
    comm::run(*world, comm::parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "control_suite: %s\n", error.what());
    if (world) world->abort(70);
    return 70;
  }
  return 0;
}
