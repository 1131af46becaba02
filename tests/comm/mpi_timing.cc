// What the comm thread adds to a blocking MPI_Allreduce, on two or more real ranks.
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "comm/world.h"

namespace trireme::comm {

void time_engine(World& world);

namespace {

using Clock = std::chrono::steady_clock;

template <typename Call>
double median_us(int times, const Call& call) {
  std::vector<double> us;
  for (int i = 0; i < times + 3; ++i) {
    const auto start = Clock::now();
    call();
    us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  us.erase(us.begin(), us.begin() + 3);
  std::nth_element(us.begin(), us.begin() + times / 2, us.end());
  return us[times / 2];
}

}  // namespace

// Prints the medians of a blocking MPI_Allreduce (made by the comm thread while the host sleeps),
// of an MPI_Iallreduce polled without pause, and of the engine with the host waiting.
void time_engine(World& world) {
  for (const int64_t bytes : {int64_t{4}, int64_t{1} << 20, int64_t{1} << 24}) {
    const int times = bytes > 1 << 20 ? 9 : bytes > 4 ? 21 : 301;
    std::vector<float> values(bytes / 4, 1.0f);
    double blocking = 0, polled = 0;
    world.engine()->run([&] {
      const auto count = static_cast<int>(values.size());
      blocking = median_us(times, [&] {
        MPI_Allreduce(MPI_IN_PLACE, values.data(), count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
      });
      polled = median_us(times, [&] {
        MPI_Request request;
        MPI_Iallreduce(MPI_IN_PLACE, values.data(), count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD,
                       &request);
        for (int done = 0; done == 0;) MPI_Test(&request, &done, MPI_STATUS_IGNORE);
      });
    });
    std::fill(values.begin(), values.end(), 0.0f);
    const double engine = median_us(
        times, [&] { world.communicator().all_reduce(std::span(values), ReduceOp::kSum); });
    if (world.rank() == 0)
      std::printf("%9ld bytes: blocking %9.1f us, polled %9.1f us, engine %9.1f us\n",
                  static_cast<long>(bytes), blocking, polled, engine);
  }
}

}  // namespace trireme::comm
