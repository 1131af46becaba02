// The communicator suite over real MPI: started by mpirun with 2 and 4 ranks (targets.cmake).
//
//   mpi_suite               every case on all ranks, then on both halves of them at once
//   mpi_suite --pieces      the same with a largest MPI count of 20,000 elements, so that long
//   calls are cut mpi_suite --expect N    fails unless there are N ranks mpi_suite --abort the last
//   rank ends the job with code 72 while the others wait for it mpi_suite --throw       the last
//   rank throws before a collective; nobody may hang mpi_suite --time        latency of the engine
//   against blocking calls (docs, not a test)

#include <cstdio>
#include <cstring>
#include <string>

#include "comm/world.h"
#include "core/base/error.h"
#include "tests/comm/suite.h"

namespace trireme::comm {

void time_engine(World& world);  // mpi_timing.cc

namespace {

struct Arguments {
  bool pieces = false, abort = false, throws = false, time = false;
  int expect = 0;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--pieces") arguments.pieces = true;
    if (argument == "--abort") arguments.abort = true;
    if (argument == "--throw") arguments.throws = true;
    if (argument == "--time") arguments.time = true;
    if (argument == "--expect" && i + 1 < argc) arguments.expect = std::stoi(argv[++i]);
  }
  return arguments;
}

void run_suite(World& world) {
  for (const SuiteCase& test_case : suite()) {
    test_case.run(world.communicator());
    const auto half = world.communicator().split(world.rank() % 2, world.rank());
    test_case.run(*half);
    barrier(world.communicator());
    if (world.rank() == 0) std::printf("ok %s\n", test_case.name), std::fflush(stdout);
  }
}

void fail_on_last_rank(World& world, const Arguments& arguments) {
  if (world.rank() == world.size() - 1) {
    if (arguments.abort) world.abort(72);
    throw SystemError("the last rank breaks");
  }
  barrier(world.communicator());
  throw SystemError("a collective without its last rank came back");
}

void run(World& world, const Arguments& arguments) {
  if (arguments.expect != 0 && world.size() != arguments.expect)
    throw SystemError(fmt::format("{} ranks, not {}", world.size(), arguments.expect));
  if (world.local_size() != world.size())
    throw SystemError("ranks of one host do not see each other");
  if (arguments.abort || arguments.throws) fail_on_last_rank(world, arguments);
  if (arguments.time) return time_engine(world);
  run_suite(world);
}

}  // namespace
}  // namespace trireme::comm

int main(int argc, char** argv) {
  using namespace trireme;
  const comm::Arguments arguments = comm::parse(argc, argv);
  std::unique_ptr<comm::World> world;
  try {
    world = std::make_unique<comm::World>(comm::detect_launch(), arguments.pieces ? 20'000 : 0);
    comm::run(*world, arguments);
  } catch (const std::exception& error) {
    const auto* ours = dynamic_cast<const Error*>(&error);
    const int code = static_cast<int>(ours != nullptr ? ours->code() : ExitCode::kInternal);
    std::fprintf(stderr, "mpi_suite: rank %d: %s\n", world ? world->rank() : -1, error.what());
    if (world) world->abort(code);
    return code;
  }
  if (world->rank() == 0) std::printf("passed: %s\n", world->describe().c_str());
  return 0;
}
